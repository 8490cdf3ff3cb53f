"""OmniSage as a recommender: nearest items of a user vector, and of the items the user has.

One vector stands for one taste; a library about two subjects lies between them. So, beside the user vector (all that
the paper uses), every item of the history may vote for the items near it:

    score(u, i) = cos(u, i) + votes * log(sum over j in the history of exp(s * cos(j, i))) / s

Shapes: C cases, I items, H distinct items of the histories, L length, D dimension.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import future_cases, leave_last_out_cases
from bowerbird.evaluate.ranking import Ranking, rank_scores
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.tables.view import LastOut, View

_CHUNK = 256
_BLOCK_BYTES = 1 << 27
"""What the closeness of some items to all may take at once."""


class OmniSageRecommender:
    """Scores of every item, see the module docstring.

    Args:
        opened: the model in the world before the targets.
        name: the row of the table it stands in.
        note: printed beside it.
        votes: weight of what the items of the history say; the model's own setting when left out.
    """

    def __init__(
        self, opened: OpenOmniSage, name: str = "OmniSage", *, note: str = "", votes: float | None = None
    ) -> None:
        self.opened, self.name, self.note = opened, name, note
        self.votes = opened.config.votes if votes is None else votes

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """See :class:`bowerbird.evaluate.Recommender`."""
        return Ranking.stack(rank_scores(self.scores(chunk), chunk, k) for chunk in cases.chunks(_CHUNK))

    def scores(self, cases: Cases) -> np.ndarray:
        """float32 (C, I)."""
        history = cases.histories(self.opened.config.history_length)
        found: np.ndarray = self.opened.users(history) @ self.opened.items.T
        if self.votes:
            sharpness = self.opened.config.vote_sharpness
            found += self.votes * votes(self.opened.items, history.item, history.mask, sharpness)
        return found


def votes(items_ID: np.ndarray, item_CL: np.ndarray, mask_CL: np.ndarray, sharpness: float) -> np.ndarray:
    """How near every item lies to the items of each history, float32 (C, I): between the nearest one's cosine (very
    sharp) and the mean cosine (not sharp), up to a number per history; one value all over where a history is empty.

    Args:
        items_ID: unit vectors.
        item_CL, mask_CL: dense ids of the histories, and which of them are there.
        sharpness: s.
    """
    case, _ = np.nonzero(mask_CL)
    asked, place = np.unique(item_CL[mask_CL].astype(np.int64), return_inverse=True)
    counts_CH = csr_array((np.ones(len(case), np.float32), (case, place)), shape=(len(item_CL), len(asked)))
    total_CI = np.zeros((len(item_CL), len(items_ID)), np.float32)
    rows = max(1, _BLOCK_BYTES // (4 * len(items_ID)))
    for low in range(0, len(asked), rows):
        # less 1, so that nothing overflows: the largest is exp(0)
        cosine_HI = items_ID[asked[low : low + rows]] @ items_ID.T - np.float32(1)
        total_CI += counts_CH[:, low : low + rows] @ np.exp(sharpness * cosine_HI)
    found: np.ndarray = np.log(np.maximum(total_CI, np.finfo(np.float32).tiny)) / np.float32(sharpness)
    return found


def held_out_cases(view: View, earlier: View, *, limit: int | None = None) -> Cases:
    """What users do between two walls: all of it at once, or the last event of each behind a ``LastOut`` wall."""
    last = earlier.walls[-1] if earlier.walls else None
    make = leave_last_out_cases if isinstance(last, LastOut) else future_cases
    return make(view, earlier, limit=limit)
