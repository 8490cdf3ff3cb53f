"""One table: every model on the same cases, with intervals, against the best baseline.

Shapes: C cases, T targets, k list length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bowerbird.evaluate.bootstrap import Estimate, Interval, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.accuracy import parse_metric
from bowerbird.evaluate.metrics.diversity import coverage, intra_list_diversity, mean_popularity, unique_share
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.metrics.segments import Segments, actions, popularity_buckets, warmth
from bowerbird.evaluate.positives import positives
from bowerbird.evaluate.ranking import Recommender, check_ranking
from bowerbird.tables.errors import ConfigError

METRIC_NAMES = ("recall", "hit_rate", "ndcg", "mrr")
CUTOFFS = (1, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class ModelResult:
    """One model: the mean over its seeds and the interval over users (and seeds).

    metrics: `"ndcg@10"` -> interval. segments: kind (`"warmth"`, `"popularity"`, `"action"`) -> part ->
    recall of the part's targets at the comparison's cut-off. difference, ratio: paired against the best
    baseline.
    lists: coverage, unique_share, mean_popularity and, where features were given, intra_list_diversity.
    seed_values: metric -> one figure a seed. seconds: time to recommend for all cases, mean over seeds.
    """

    name: str
    is_baseline: bool
    n_seeds: int
    metrics: dict[str, Interval]
    segments: dict[str, dict[str, Interval]]
    difference: dict[str, Interval]
    ratio: dict[str, Interval]
    lists: dict[str, float]
    seed_values: dict[str, list[float]]
    seconds: float
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {name: _plain(value) for name, value in self.__dict__.items()}
        return plain | {
            "seed_deviation": {name: _deviation(found) for name, found in self.seed_values.items()}
        }


@dataclass(frozen=True)
class Comparison:
    """All models on one set of cases.

    results: in the order given. best_baseline: the baseline with the highest headline metric, or None.
    segment_sizes: kind -> part -> number of targets. cutoff: k of segments and list figures.
    """

    title: str
    results: list[ModelResult]
    headline: str
    best_baseline: str | None
    cutoff: int
    segment_sizes: dict[str, dict[str, int]]
    cases: dict[str, Any]
    protocol: dict[str, Any]
    bootstrap: dict[str, Any] = field(default_factory=dict)

    def result(self, name: str) -> ModelResult:
        """The row of a model.

        Raises:
            ConfigError: no such model.
        """
        for found in self.results:
            if found.name == name:
                return found
        raise ConfigError(f"no model {name!r} in this comparison; it has {[r.name for r in self.results]}")

    def value(self, name: str, metric: str) -> Interval:
        """One cell of the table."""
        return self.result(name).metrics[metric]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "results": [result.to_dict() for result in self.results]}


@dataclass
class _Model:
    name: str
    seeds: list[Recommender]
    statistics: list[dict[str, Statistic]] = field(default_factory=list)
    lists: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    by_seed: dict[str, list[float]] = field(default_factory=dict)


def compare(
    recommenders: Sequence[Recommender],
    cases: Cases,
    *,
    title: str = "",
    metrics: Sequence[str] = METRIC_NAMES,
    ks: Sequence[int] = CUTOFFS,
    headline: str = "ndcg@10",
    item_features: Any = None,
    seed: int = 0,
    resamples: int = 1000,
    on_progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Ask every model for its lists, hold them to the contract, and measure.

    Args:
        recommenders: models; those with one `name` are seeds of one model and are averaged. A recommender
            with a true attribute `is_baseline` is a baseline; its attribute `note`, if any, is printed.
        cases: the questions.
        title: of the table.
        metrics: names in `METRICS`; every one is taken at every cut-off.
        ks: cut-offs.
        headline: the metric that picks the best baseline; its cut-off also serves segments and list figures.
        item_features: a row an item, dense or sparse, for intra-list diversity.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        on_progress: told which model is being asked.

    Raises:
        ConfigError: no cases, no models, or an unknown metric.
        RankingError: a model's list breaks the contract.
    """
    if not len(cases) or not recommenders:
        raise ConfigError(f"nothing to compare: {len(cases)} cases and {len(recommenders)} models")
    cutoff = parse_metric(headline)[1]
    names = list(dict.fromkeys([f"{metric}@{k}" for metric in metrics for k in sorted(ks)] + [headline]))
    longest = max(parse_metric(name)[1] for name in names)
    segments = {"warmth": warmth(cases), "popularity": popularity_buckets(cases), "action": actions(cases)}
    models: dict[str, _Model] = {}
    for recommender in recommenders:
        model = models.setdefault(recommender.name, _Model(recommender.name, []))
        model.seeds.append(recommender)
        if on_progress:
            on_progress(recommender.name)
        _ask(model, recommender, cases, names, segments, cutoff, longest, item_features)
    bootstrap = UserBootstrap(cases.user, resamples=resamples, seed=seed)
    _resample(list(models.values()), bootstrap)
    baselines = [model for model in models.values() if getattr(model.seeds[0], "is_baseline", False)]
    best = max(baselines, key=lambda model: model.estimates[headline].mean, default=None)
    return Comparison(
        title=title,
        results=[_result(model, names, segments, best) for model in models.values()],
        headline=headline,
        best_baseline=best.name if best else None,
        cutoff=cutoff,
        segment_sizes={
            kind: {name: int(flags.sum()) for name, flags in parts.items()}
            for kind, parts in segments.items()
        },
        cases=cases.summary(),
        protocol=cases.protocol.to_dict(),
        bootstrap={
            "level": 0.95,
            "resamples": resamples,
            "seed": seed,
            "over": "users, and seeds where several",
        },
    )


def _ask(
    model: _Model,
    recommender: Recommender,
    cases: Cases,
    names: Sequence[str],
    segments: dict[str, Segments],
    cutoff: int,
    longest: int,
    item_features: Any,
) -> None:
    started = time.perf_counter()
    ranking = recommender.recommend(cases, longest)
    model.seconds.append(time.perf_counter() - started)
    check_ranking(ranking, cases, longest, name=recommender.name)
    ranks, offsets = target_ranks(ranking, cases), cases.target_offsets
    found: dict[str, Statistic] = {}
    for name in names:
        metric, k = parse_metric(name)
        found[name] = Statistic.of_cases(metric(ranks, offsets, k))
    for kind, parts in segments.items():
        for part, chosen in parts.items():
            found[f"{kind}/{part}"] = Statistic.of_targets(ranks < cutoff, offsets, chosen)
    model.statistics.append(found)
    top = ranking.items[:, :cutoff]
    lists = {
        "coverage": coverage(top, cases.n_items),
        "unique_share": unique_share(top),
        "mean_popularity": mean_popularity(top, positives(cases.train).item_count),
    }
    if item_features is not None:
        variety = intra_list_diversity(top, item_features)
        described = variety[~np.isnan(variety)]
        lists["intra_list_diversity"] = float(described.mean()) if len(described) else math.nan
    model.lists.append(lists)


def _resample(models: Sequence[_Model], bootstrap: UserBootstrap) -> None:
    flat = [statistic for model in models for found in model.statistics for statistic in found.values()]
    estimates = iter(bootstrap.estimates(flat))
    for model in models:
        per_seed = [{name: next(estimates) for name in found} for found in model.statistics]
        for name in per_seed[0]:
            model.by_seed[name] = [found[name].mean for found in per_seed]
            model.estimates[name] = bootstrap.over_seeds([found[name] for found in per_seed])


def _result(
    model: _Model, names: Sequence[str], segments: dict[str, Segments], best: _Model | None
) -> ModelResult:
    against = best if best is not None and best is not model else None
    return ModelResult(
        name=model.name,
        is_baseline=bool(getattr(model.seeds[0], "is_baseline", False)),
        n_seeds=len(model.seeds),
        metrics={name: model.estimates[name].interval() for name in names},
        segments={
            kind: {part: model.estimates[f"{kind}/{part}"].interval() for part in parts}
            for kind, parts in segments.items()
        },
        difference={name: model.estimates[name].minus(against.estimates[name]) for name in names}
        if against
        else {},
        ratio={name: model.estimates[name].over(against.estimates[name]) for name in names}
        if against
        else {},
        lists={name: float(np.mean([found[name] for found in model.lists])) for name in model.lists[0]},
        seed_values={name: model.by_seed[name] for name in names},
        seconds=float(np.mean(model.seconds)),
        note=str(getattr(model.seeds[0], "note", "")),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_dict()
    if isinstance(value, dict):
        return {name: _plain(found) for name, found in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
