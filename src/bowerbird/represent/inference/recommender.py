"""OmniSage as a recommender: nearest items of a user vector, over the whole catalogue or over cold items alone.

Shapes: C cases, I items.
"""

from __future__ import annotations

import numpy as np

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import future_cases, leave_last_out_cases
from bowerbird.evaluate.ranking import Ranking, rank_scores
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.tables.view import LastOut, View

_CHUNK = 1024


class OmniSageRecommender:
    """Cosine of the user vector with every item vector.

    Args:
        opened: the model in the world before the targets.
        name: the row of the table it stands in.
        note: printed beside it.
    """

    def __init__(self, opened: OpenOmniSage, name: str = "OmniSage", *, note: str = "") -> None:
        self.opened, self.name, self.note = opened, name, note

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """See :class:`bowerbird.evaluate.Recommender`."""
        return Ranking.stack(rank_scores(self.scores(chunk), chunk, k) for chunk in cases.chunks(_CHUNK))

    def scores(self, cases: Cases) -> np.ndarray:
        """float32 (C, I)."""
        users = self.opened.users(cases.histories(self.opened.config.history_length))
        found: np.ndarray = users @ self.opened.items.T
        return found


def held_out_cases(view: View, earlier: View, *, limit: int | None = None) -> Cases:
    """What users do between two walls: all of it at once, or the last event of each behind a ``LastOut`` wall."""
    last = earlier.walls[-1] if earlier.walls else None
    make = leave_last_out_cases if isinstance(last, LastOut) else future_cases
    return make(view, earlier, limit=limit)
