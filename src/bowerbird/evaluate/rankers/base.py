"""What every ranker here shares: fitted on a view, tuned on later slates, probabilities out.

Shapes: R rows, C actions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.slates.build import slate_cases
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.tables.view import View


class FittedRanker(ABC):
    """A ranker that learns from a view and nothing else.

    Settings are keyword arguments of the class. One that is `random` gives another model for another seed.
    """

    name: ClassVar[str]
    random: ClassVar[bool] = False
    is_baseline = True

    def __init__(self) -> None:
        self.note = ""

    @abstractmethod
    def fit(self, view: View, *, valid: View | None = None, seed: int = 0) -> Self:
        """Learn.

        Args:
            view: what may be learnt from; nothing past its wall is read.
            valid: a later view: its slates past `view`'s wall choose when to stop and nothing else. When left out the
                last tenth of `view`'s slates chooses, and the ranker is then fitted again on all of `view`.
            seed: of a random ranker.

        Raises:
            ConfigError: too few slates to learn from, or a missing library.
        """

    @abstractmethod
    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """Probability of each action for each row: float32 (R, C)."""


@dataclass(frozen=True)
class Tuning:
    """Where parameters are learnt and where it is decided how long.

    learn: the view to learn from; cases: slates past its wall; refit: whether the choice came from a part of the
    view itself, so that a last fit on all of it is due.
    """

    learn: View
    cases: SlateCases
    refit: bool


def tuning(view: View, valid: View | None, *, share: float = 0.1) -> Tuning:
    """Hold out slates to tune on: those of `valid` past the view's wall, else the last `share` of the view's own.

    Raises:
        ConfigError: no slate to learn from, or none to tune on.
    """
    if valid is not None:
        cases = slate_cases(valid, view, min_size=1)
        learn, refit = view, False
    else:
        times = np.sort(view.slates().time)
        if not len(times):
            raise ConfigError(_NO_SLATES)
        learn, refit = view.narrow(int(times[int((1 - share) * len(times))])), True
        cases = slate_cases(view, learn, min_size=1)
    if not len(learn.slates()) or not len(cases):
        raise ConfigError(
            f"{_NO_SLATES}: {len(learn.slates())} slates to learn from and {len(cases)} to tune on. "
            "Fix: use a log whose rows have a request_id, and walls with slates on both sides."
        )
    return Tuning(learn, cases, refit)


_NO_SLATES = "a ranker learns from slates, and there are too few"
