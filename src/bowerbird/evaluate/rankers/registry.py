"""The rankers by name, and all of them fitted in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bowerbird.evaluate.rankers.base import FittedRanker
from bowerbird.evaluate.rankers.gbdt import GradientBoostedTrees
from bowerbird.evaluate.rankers.logistic import LogisticRanker
from bowerbird.evaluate.rankers.neural import HstuRanker, TargetAttentionRanker
from bowerbird.evaluate.rankers.popularity import PopularityRanker
from bowerbird.tables.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from bowerbird.tables.view import View

RANKERS: dict[str, type[FittedRanker]] = {
    "popularity": PopularityRanker,
    "logistic": LogisticRanker,
    "gbdt": GradientBoostedTrees,
    "attention": TargetAttentionRanker,
    "hstu": HstuRanker,
}
"""The rankers every slate report shows, by short name."""


def fitted_rankers(
    train: View,
    names: Sequence[str] = tuple(RANKERS),
    seeds: Sequence[int] = (0,),
    *,
    valid: View | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> list[FittedRanker]:
    """Fit rankers on a view.

    Args:
        train: what may be learnt from.
        names: short names, keys of `RANKERS`.
        seeds: a random ranker is fitted once a seed; those of one name count as seeds of one model.
        valid: a later view whose slates decide when to stop; the last tenth of `train` when left out.
        settings: short name -> keyword arguments of the ranker.
        on_progress: told what was fitted, and how long it took.

    Raises:
        ConfigError: an unknown name, no seeds, a missing library, or no slates.
    """
    if not seeds:
        raise ConfigError("fitted_rankers needs at least one seed")
    for name in [*names, *(settings or {})]:
        if name not in RANKERS:
            raise ConfigError(f"unknown ranker {name!r}; {did_you_mean(name, RANKERS)}")
    fitted: list[FittedRanker] = []
    for name in names:
        kind = RANKERS[name]
        for seed in seeds if kind.random else seeds[:1]:
            started = time.perf_counter()
            ranker = kind(**(settings or {}).get(name, {})).fit(train, valid=valid, seed=seed)
            fitted.append(ranker)
            if on_progress:
                seconds = time.perf_counter() - started
                on_progress(f"{kind.name}, seed {seed}: {seconds:.1f} s ({ranker.note or 'fitted'})")
    return fitted
