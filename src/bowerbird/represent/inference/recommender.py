"""OmniSage as a recommender: nearest items of a user vector, of the items the user has, and of the lists near it.

One vector stands for one taste; a library about two subjects lies between them. So, beside the user vector (all that
the paper uses), every item j of the history may vote for the items near it, and every list l for the items it holds,
the more the nearer it is to the user:

    score(u, i) = cos(u, i) + votes * log(sum over j of exp(s * cos(j, i))) / s + list_votes * log(floor + share)

where share is what lists that hold i have of the sum of exp(t * cos(u, l)) over all lists.

Shapes: C cases, I items, X lists.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import future_cases, leave_last_out_cases
from bowerbird.evaluate.ranking import Ranking, rank_scores
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.voting import item_votes, list_votes
from bowerbird.tables.view import LastOut, View

_CHUNK = 256


class OmniSageRecommender:
    """Scores of every item, see the module docstring.

    Args:
        opened: the model in the world before the targets.
        name: the row of the table it stands in.
        note: printed beside it.
        votes_of: whose settings of votes count; the model's own when left out.
    """

    def __init__(
        self, opened: OpenOmniSage, name: str = "OmniSage", *, note: str = "",
        votes_of: OmniSageConfig | None = None,
    ) -> None:  # fmt: skip
        self.opened, self.name, self.note = opened, name, note
        self.settings = opened.config if votes_of is None else votes_of

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """See :class:`bowerbird.evaluate.Recommender`."""
        return Ranking.stack(rank_scores(self.scores(chunk), chunk, k) for chunk in cases.chunks(_CHUNK))

    def scores(self, cases: Cases) -> np.ndarray:
        """float32 (C, I)."""
        history = cases.histories(self.opened.config.history_length)
        settings, opened = self.settings, self.opened
        users_CD = opened.users(history)
        found: np.ndarray = users_CD @ opened.items.T
        if settings.votes:
            sharpness = settings.vote_sharpness
            found += settings.votes * item_votes(opened.items, history.item, history.mask, sharpness)
        if settings.list_votes and len(opened.collections):
            own = opened.world.lists_of(cases.user.astype(np.int64))
            sharpness = settings.list_sharpness
            found += settings.list_votes * list_votes(
                users_CD, opened.collections, self._held, own, sharpness
            )
        return found

    @cached_property
    def _held(self) -> csr_array:
        """float32 (I, X): 1 where an item is in a list."""
        world = self.opened.world
        shape = world.contents["item"].count, len(self.opened.collections)
        for relation in world.relations.values():
            if (relation.source, relation.target) == ("item", "collection"):
                ones = np.ones(len(relation.indices), np.float32)
                return csr_array(
                    (ones, np.asarray(relation.indices), np.asarray(relation.indptr)), shape=shape
                )
        return csr_array(shape, dtype=np.float32)


def held_out_cases(view: View, earlier: View, *, limit: int | None = None) -> Cases:
    """What users do between two walls: all of it at once, or the last event of each behind a ``LastOut`` wall."""
    last = earlier.walls[-1] if earlier.walls else None
    make = leave_last_out_cases if isinstance(last, LastOut) else future_cases
    return make(view, earlier, limit=limit)
