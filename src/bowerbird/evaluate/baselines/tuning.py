"""Baselines as strong as validation can make them: a small grid each, judged on validation cases only.

Shapes: none of its own.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bowerbird.evaluate.baselines.base import Baseline, settings_of
from bowerbird.evaluate.baselines.content import ContentCosine
from bowerbird.evaluate.baselines.ease import EASE
from bowerbird.evaluate.baselines.ials import IALS
from bowerbird.evaluate.baselines.lightgcn import LightGCN
from bowerbird.evaluate.baselines.markov import Markov, RecentMarkov
from bowerbird.evaluate.baselines.neighbours import ItemKNN
from bowerbird.evaluate.baselines.pagerank import PageRank
from bowerbird.evaluate.baselines.popularity import Popularity, RecentPopularity
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.accuracy import parse_metric
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.tables.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from bowerbird.tables.view import View

BASELINES: dict[str, type[Baseline]] = {
    "popularity": Popularity,
    "recent": RecentPopularity,
    "markov": Markov,
    "recentmarkov": RecentMarkov,
    "itemknn": ItemKNN,
    "ease": EASE,
    "ials": IALS,
}
"""The baselines every report must show, by short name."""

GRAPH_BASELINES: dict[str, type[Baseline]] = {
    "content": ContentCosine,
    "pagerank": PageRank,
    "lightgcn": LightGCN,
}
"""The further floors of a report about graphs and content, by short name."""

QUICK_GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "itemknn": {"shrink": (10.0,), "neighbours": (300,), "decay": (1.0, 0.8, 0.5)},
    "ease": {"penalty": (100.0,), "decay": (1.0, 0.8, 0.5)},
    "ials": {"factors": (64,), "regularization": (1.0,), "alpha": (1.0, 10.0)},
    "content": {"decay": (1.0,)},
    "pagerank": {"restart": (0.2, 0.5), "hub_penalty": (0.0, 0.5)},
    "lightgcn": {"layers": (2,), "regularization": (1e-4,), "negatives": (64,)},
}
"""Smaller grids for a demonstration: the settings that matter most, in seconds instead of minutes."""

TUNING_EASE_ITEMS = 6_000
"""EASE's penalty is tuned on at most this many items: its cost is cubic, and the best penalty hardly
moves."""


@dataclass(frozen=True)
class Tuned:
    """The outcome of tuning one baseline.

    baseline: short name; settings: the best; metric and score: what it reached on validation;
    tried: every setting with its score; seconds: the whole search.
    """

    baseline: str
    settings: dict[str, Any]
    metric: str
    score: float
    tried: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        tried = [{"settings": settings, "score": score} for settings, score in self.tried]
        return {**self.__dict__, "tried": tried}


def tune(
    baseline: str,
    train: View,
    cases: Cases,
    *,
    metric: str = "ndcg@10",
    grid: Mapping[str, Sequence[Any]] | None = None,
    fixed: Mapping[str, Any] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Tuned:
    """Try a grid on validation cases; the first of equally good settings wins.

    Args:
        baseline: a key of `BASELINES` or `GRAPH_BASELINES`.
        train: what is fitted on.
        cases: validation cases; their targets must lie past `train`'s wall.
        metric: what is maximised.
        grid: setting -> values; the baseline's own grid when left out.
        fixed: settings held fixed.
        on_progress: told each setting and its score.

    Raises:
        ConfigError: unknown baseline or metric.
    """
    known = BASELINES | GRAPH_BASELINES
    if baseline not in known:
        raise ConfigError(f"unknown baseline {baseline!r}; {did_you_mean(baseline, known)}")
    kind = known[baseline]
    measure, k = parse_metric(metric)
    started = time.perf_counter()
    tried: list[tuple[dict[str, Any], float]] = []
    held = dict(fixed or {})
    if baseline == "ease":
        held.setdefault("max_items", TUNING_EASE_ITEMS)
    values = kind.grid if grid is None else grid
    cheap = {name: choices for name, choices in values.items() if name in kind.only_scoring}
    dear = {name: choices for name, choices in values.items() if name not in kind.only_scoring}
    for slow in settings_of(dear):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the item cap is said once, by the final fit
            fitted = kind(**held, **slow).fit(train)
        for quick in settings_of(cheap):
            ranks = target_ranks(fitted.with_scoring(**quick).recommend(cases, k), cases)
            score = float(measure(ranks, cases.target_offsets, k).mean())
            tried.append(({**slow, **quick}, score))
            if on_progress:
                on_progress(f"{kind.name} {tried[-1][0]}: {metric} {score:.4f}")
    best, score = max(tried, key=lambda found: found[1])
    return Tuned(baseline, best, metric, score, tried, time.perf_counter() - started)


def fitted_baselines(
    train: View,
    cases: Cases,
    final: View,
    *,
    names: Sequence[str] = tuple(BASELINES),
    metric: str = "ndcg@10",
    seeds: Sequence[int] = (0,),
    grids: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[list[Baseline], list[Tuned]]:
    """Every baseline tuned on validation and fitted again on everything before the test.

    Args:
        train: what tuning fits on.
        cases: validation cases.
        final: what the returned baselines are fitted on: `train`, or the later view before the test wall
            (which also holds the validation events, the stronger choice).
        names: short names.
        metric: what tuning maximises.
        seeds: random baselines are fitted once a seed.
        grids: other grids, by short name.
        on_progress: told what happens.

    Returns:
        The fitted baselines (those of several seeds share a name), and how each was tuned.
    """
    fitted: list[Baseline] = []
    log: list[Tuned] = []
    for name in names:
        tuned = tune(name, train, cases, metric=metric, grid=(grids or {}).get(name), on_progress=on_progress)
        log.append(tuned)
        kind = (BASELINES | GRAPH_BASELINES)[name]
        for seed in seeds if kind.random else seeds[:1]:
            extra = {"seed": seed} if kind.random else {}
            fitted.append(kind(**tuned.settings, **extra).fit(final))
        if on_progress:
            on_progress(f"{kind.name}: {tuned.settings} ({tuned.seconds:.0f} s)")
    return fitted, log
