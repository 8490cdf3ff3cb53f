"""What a ranker is: probabilities of every action for every row of a slate.

Shapes: R rows, C actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import BowerbirdError

if TYPE_CHECKING:
    from bowerbird.evaluate.slates.cases import SlateCases


class RankerError(BowerbirdError):
    """A ranker returned scores that break the contract; `str` says which row and what."""


@runtime_checkable
class Ranker(Protocol):
    """Anything that can score slates. Several rankers of one `name` count as seeds of one model."""

    @property
    def name(self) -> str:
        """The row of the table it stands in."""
        ...

    @property
    def is_baseline(self) -> bool:
        """Whether it is something to beat."""
        ...

    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """Probability of each action for each row: float32 (R, C), columns in the order of `cases.action_names`.

        It may read `cases.view` only up to each slate's `history_end` (and, where `cases.live`, other users' rows
        before `known_before`), and must look neither at the labels nor at positions.
        """
        ...


def check_scores(scores_RC: NDArray[np.floating], cases: SlateCases, *, name: str) -> None:
    """Hold a ranker to its contract.

    Raises:
        RankerError: another shape, or a score that is no probability.
    """
    wanted = (cases.n_rows, len(cases.action_names))
    if scores_RC.shape != wanted:
        raise RankerError(f"{name} gave scores of shape {scores_RC.shape}, the slates need {wanted}")
    bad = np.argwhere(~((scores_RC >= 0) & (scores_RC <= 1)))  # NaN fails both
    if len(bad):
        row, column = (int(place) for place in bad[0])
        raise RankerError(
            f"{name} gave {scores_RC[row, column]} as the probability of {cases.action_names[column]!r} for row "
            f"{row} (slate {int(cases.slate_of_row[row])}): every score must lie between 0 and 1"
        )
