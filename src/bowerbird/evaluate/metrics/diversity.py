"""What the lists look like as a whole: coverage, unique items, variety inside a list, popularity of what is
shown.

Shapes: C cases, k list length, I items, F features. `items_Ck` holds dense ids, -1 = empty place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def coverage(items_Ck: NDArray[Any], n_items: int) -> float:
    """Share of the catalogue that stands in at least one list.

    >>> coverage(np.array([[0, 1], [1, -1]]), 4)
    0.5
    """
    return len(_shown(items_Ck, unique=True)) / n_items if n_items else 0.0


def unique_share(items_Ck: NDArray[Any]) -> float:
    """Distinct items over places filled, across all cases (the papers' diversity; PinRec A6).

    >>> unique_share(np.array([[0, 1], [1, -1]])).__round__(4)
    0.6667
    """
    filled = len(_shown(items_Ck))
    return len(_shown(items_Ck, unique=True)) / filled if filled else 0.0


def intra_list_diversity(items_Ck: NDArray[Any], features_IF: Any) -> NDArray[np.float64]:
    """float64 (C,): mean of 1 - cosine over the pairs inside each list; NaN with fewer than two described
    items.

    Args:
        items_Ck: lists.
        features_IF: a row an item, dense or SciPy sparse: vectors, or 0/1 marks of its categories. Rows need
        no
            unit length; items with a zero row are left out.

    >>> intra_list_diversity(np.array([[0, 1], [0, 2]]), np.array([[1.0, 0], [2, 0], [0, 3]])).tolist()
    [0.0, 1.0]
    """
    from scipy import sparse

    features = sparse.csr_array(features_IF, dtype=np.float64)
    norm_I = np.sqrt(features.power(2).sum(axis=1))
    described_Ck = (items_Ck >= 0) & (norm_I[np.maximum(items_Ck, 0)] > 0)
    unit = sparse.dia_array((1.0 / np.where(norm_I > 0, norm_I, 1.0), 0), shape=(len(norm_I),) * 2) @ features
    n_C = described_Ck.sum(axis=1).astype(float)
    rows, _ = np.nonzero(described_Ck)
    lists = sparse.csr_array(
        (np.ones(len(rows)), (rows, items_Ck[described_Ck])), shape=(len(items_Ck), len(norm_I))
    )
    # The squared length of a sum of n unit vectors is n plus twice the sum of all pairwise cosines.
    length_C = np.asarray((lists @ unit).power(2).sum(axis=1))
    pairs = n_C * (n_C - 1)
    return np.where(pairs > 0, 1.0 - (length_C - n_C) / np.where(pairs > 0, pairs, 1.0), np.nan)


def mean_popularity(items_Ck: NDArray[Any], count_I: NDArray[Any]) -> float:
    """Mean of log(1 + training events) over all places filled: how popular what is shown is.

    Args:
        items_Ck: lists.
        count_I: training events of each item (I,).
    """
    shown = _shown(items_Ck)
    return float(np.log1p(count_I[shown]).mean()) if len(shown) else 0.0


def _shown(items_Ck: NDArray[Any], unique: bool = False) -> NDArray[Any]:
    shown = items_Ck[items_Ck >= 0]
    return np.unique(shown) if unique else shown
