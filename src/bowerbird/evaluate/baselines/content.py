"""Content cosine: items that say the same as the history's items. It knows nobody, so it knows cold items too.

Shapes: B cases of a chunk, I items, W distinct words, categories and n-grams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline
from bowerbird.evaluate.baselines.neighbours import weighted_profiles
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from bowerbird.tables.view import View

_BUCKETS = 1 << 20
_GRAMS = 256


class ContentCosine(Baseline):
    """Cosine between an item's text, categories and vectors and the mean of the history's.

    Words and categories are weighted by inverse document frequency; every column counts alike. Items without content
    have no opinion.

    Args:
        decay: weight of each older item of the history relative to the one after it.
    """

    name = "Content cosine"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"decay": (1.0, 0.9, 0.8, 0.6)}
    only_scoring = ("decay",)

    def __init__(self, *, decay: float = 1.0) -> None:
        super().__init__()
        if not 0 < decay <= 1:
            raise ConfigError("content cosine needs 0 < decay <= 1")
        self.decay = decay
        self.note = "text, categories and vectors of the items, no behaviour"

    def fit(self, view: View) -> Self:
        """Read the catalogue of a view."""
        self._rows = content_matrix(view)
        self._columns = self._rows.T.tocsr()
        return super().fit(view)

    def _fit(self, log: Positives) -> None:
        pass  # content says nothing about behaviour

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        profiles = weighted_profiles(cases, self.decay) @ self._rows
        scores = (profiles @ self._columns).toarray()
        scores[scores <= 0] = -np.inf
        return scores


def content_matrix(view: View) -> csr_array:
    """Unit rows of item content, sparse float32 (I, W); all zero where an item says nothing."""
    from scipy.sparse import csr_array, hstack

    from bowerbird.nn import encode_text

    table = view.item_table()
    blocks: list[Any] = []
    for column, role in table.roles.items():
        if column not in table.frame.columns:
            continue
        values = table.frame[column].to_list()
        if role in ("text", "title"):
            ids, offsets = encode_text(values, _BUCKETS, most=_GRAMS)
        elif role in ("category", "categories"):
            ids, offsets = _categories(values)
        elif role == "vector":
            blocks.append(_unit(_vectors(values)))
            continue
        else:
            continue
        size = max(int(ids.max(initial=0)) + 1, 1)
        counts = csr_array((np.ones(len(ids), np.float32), ids, offsets), shape=(len(values), size))
        counts.sum_duplicates()
        counts.data[:] = 1.0
        documents = np.bincount(counts.indices, minlength=size)
        counts.data *= np.log(len(values) / np.maximum(documents, 1)).astype(np.float32)[counts.indices]
        blocks.append(_unit(counts))
    if not blocks:
        return csr_array((len(table), 1), dtype=np.float32)
    return _unit(csr_array(hstack(blocks)))


def _categories(values: list[Any]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    codes: dict[Any, int] = {}
    flat: list[int] = []
    offsets = np.zeros(len(values) + 1, np.int64)
    for row, value in enumerate(values):
        members = value if isinstance(value, list) else [] if value is None else [value]
        flat.extend(codes.setdefault(member, len(codes)) for member in dict.fromkeys(members))
        offsets[row + 1] = len(flat)
    return np.asarray(flat, np.int32), offsets


def _vectors(values: list[Any]) -> csr_array:
    from scipy.sparse import csr_array

    width = next((len(value) for value in values if value is not None), 1)
    return csr_array(
        np.array([value if value is not None else [0.0] * width for value in values], np.float32)
    )


def _unit(matrix: csr_array) -> csr_array:
    norm = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = matrix.tocsr().astype(np.float32)
    matrix.data /= np.repeat(np.maximum(norm, 1e-12), np.diff(matrix.indptr)).astype(np.float32)
    return matrix
