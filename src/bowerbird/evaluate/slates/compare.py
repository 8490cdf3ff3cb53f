"""One table: every ranker on the same slates, for each action, with intervals, against the best baseline.

Shapes: R rows, C actions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bowerbird.evaluate.bootstrap import Estimate, Interval, UserBootstrap
from bowerbird.evaluate.slates.calibration import recentred
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.evaluate.slates.measures import LOWER_IS_BETTER, Measures, measure, metric_names
from bowerbird.evaluate.slates.ranker import Ranker, check_scores
from bowerbird.tables.errors import ConfigError

KS = (1, 3)
Key = tuple[str, str]
"""(action, metric)."""


@dataclass(frozen=True)
class SlateResult:
    """One ranker: the mean over its seeds and the interval over users (and seeds).

    metrics, difference, ratio: action -> metric -> interval; the last two are paired against the best baseline and
    empty for that baseline itself. seed_values: action -> metric -> one figure a seed. seconds: time to score all
    slates, mean over seeds.
    """

    name: str
    is_baseline: bool
    n_seeds: int
    metrics: dict[str, dict[str, Interval]]
    difference: dict[str, dict[str, Interval]]
    ratio: dict[str, dict[str, Interval]]
    seed_values: dict[str, dict[str, list[float]]]
    seconds: float
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: _plain(value) for name, value in self.__dict__.items()}


@dataclass(frozen=True)
class SlateComparison:
    """All rankers on one set of slates.

    results: in the order given. actions, metrics: names in the order of the table. headline: (action, metric) that
    picked `best_baseline` (None without baselines). slates: `SlateCases.summary()`.
    """

    title: str
    results: list[SlateResult]
    actions: list[str]
    metrics: list[str]
    headline: Key
    best_baseline: str | None
    slates: dict[str, Any]
    protocol: dict[str, Any]
    bootstrap: dict[str, Any]
    estimates: dict[str, dict[Key, Estimate]] = field(default_factory=dict, repr=False)

    def result(self, name: str) -> SlateResult:
        """The row of a ranker.

        Raises:
            ConfigError: no such ranker.
        """
        for found in self.results:
            if found.name == name:
                return found
        raise ConfigError(f"no ranker {name!r} in this comparison; it has {[r.name for r in self.results]}")

    def value(self, name: str, action: str, metric: str) -> Interval:
        """One cell of the table."""
        return self.result(name).metrics[action][metric]

    def ratio(self, name: str, against: str, action: str, metric: str) -> Interval:
        """The paired ratio of any two rankers."""
        self.result(name), self.result(against)  # their errors name the rankers there are
        return self.estimates[name][action, metric].over(self.estimates[against][action, metric])

    def difference(self, name: str, against: str, action: str, metric: str) -> Interval:
        """The paired difference of any two rankers."""
        self.result(name), self.result(against)
        return self.estimates[name][action, metric].minus(self.estimates[against][action, metric])

    def best(self, action: str, metric: str) -> float:
        """The best figure of a column; NaN where nothing could be measured."""
        means = [result.metrics[action][metric].mean for result in self.results]
        known = [mean for mean in means if not math.isnan(mean)]
        if not known:
            return math.nan
        if metric == "calibration":
            return min(known, key=lambda mean: abs(mean - 1))
        return min(known) if metric in LOWER_IS_BETTER else max(known)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; resampled figures stay out."""
        plain = {name: value for name, value in self.__dict__.items() if name != "estimates"}
        return {
            **plain,
            "headline": list(self.headline),
            "results": [result.to_dict() for result in self.results],
        }


@dataclass
class _Model:
    name: str
    seeds: list[Ranker] = field(default_factory=list)
    measures: list[dict[str, Measures]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by_seed: list[dict[Key, Estimate]] = field(default_factory=list)


def rank_compare(
    models: Sequence[Ranker],
    cases: SlateCases,
    *,
    title: str = "",
    actions: Sequence[str] | None = None,
    ks: Sequence[int] = KS,
    headline: Key | None = None,
    seed: int = 0,
    resamples: int = 1000,
    on_progress: Callable[[str], None] | None = None,
) -> SlateComparison:
    """Ask every ranker for its probabilities, hold it to the contract, and measure.

    Args:
        models: rankers; those with one `name` are seeds of one model and are averaged. A true attribute `is_baseline`
            makes a baseline; an attribute `note`, if any, is printed.
        cases: the slates.
        title: of the table.
        actions: names of the actions to report; those that are rankable in some slate when left out.
        ks: cut-offs of hits.
        headline: (action, metric) that picks the best baseline; hit@k of the rarest positive action at the largest
            cut-off when left out.
        seed, resamples: of the bootstrap.
        on_progress: told which ranker is being asked.

    Raises:
        ConfigError: no slates, no rankers, an unknown action or headline, or no action that could be measured.
        RankerError: scores that break the contract.
    """
    if not len(cases) or not models:
        raise ConfigError(f"nothing to compare: {len(cases)} slates and {len(models)} rankers")
    if not ks or min(ks) < 1:
        raise ConfigError(f"cut-offs of hits must be at least 1, not {list(ks)}")
    chosen, metrics = _actions(cases, actions), metric_names(ks)
    top = _headline(cases, chosen, ks) if headline is None else headline
    if top[0] not in chosen or top[1] not in metrics:
        raise ConfigError(f"headline {top}: the actions are {chosen} and the metrics {metrics}")
    bootstrap = UserBootstrap(cases.user, resamples=resamples, seed=seed)
    found: dict[str, _Model] = {}
    for ranker in models:
        model = found.setdefault(ranker.name, _Model(ranker.name))
        if on_progress:
            on_progress(ranker.name)
        _ask(model, ranker, cases, chosen, bootstrap, ks)
    _resample(list(found.values()), bootstrap)
    estimates = {model.name: _pooled(model, bootstrap) for model in found.values()}
    baselines = [model.name for model in found.values() if getattr(model.seeds[0], "is_baseline", False)]
    lower = -1.0 if top[1] in LOWER_IS_BETTER else 1.0
    best = max(baselines, key=lambda name: lower * estimates[name][top].mean, default=None)
    return SlateComparison(
        title=title,
        results=[_result(model, estimates, chosen, metrics, best) for model in found.values()],
        actions=chosen,
        metrics=metrics,
        headline=top,
        best_baseline=best,
        slates=cases.summary(),
        protocol=cases.protocol.to_dict(),
        bootstrap={
            "level": 0.95,
            "resamples": resamples,
            "seed": seed,
            "over": "users, and seeds where several",
        },
        estimates=estimates,
    )


def _actions(cases: SlateCases, asked: Sequence[str] | None) -> list[str]:
    names = cases.action_names
    unknown = [name for name in asked or () if name not in names]
    if unknown:
        raise ConfigError(f"no action {unknown[0]!r} in this store; it has {', '.join(names)}")
    rankable = cases.summary()["rankable_slates"]
    chosen = list(asked) if asked is not None else [name for name in names if rankable[name]]
    if not chosen:
        raise ConfigError(
            "no slate holds a row with an action beside a row without it, so there is nothing to rank. "
            "Fix: use a log that keeps what was shown and not acted on."
        )
    return chosen


def _headline(cases: SlateCases, actions: Sequence[str], ks: Sequence[int]) -> Key:
    """The rarest positive action that can be ranked: what a platform cares for most is rare."""
    summary = cases.summary()
    positive = [
        name for bit, name in enumerate(cases.action_names) if cases.view.positive_mask >> bit & 1 and name in actions
    ]  # fmt: skip
    ranked = [name for name in positive or actions if summary["rankable_slates"][name]] or list(actions)
    return min(ranked, key=lambda name: summary["rate"][name]), f"hit@{max(ks)}"


def _ask(
    model: _Model,
    ranker: Ranker,
    cases: SlateCases,
    actions: Sequence[str],
    bootstrap: UserBootstrap,
    ks: Sequence[int],
) -> None:
    started = time.perf_counter()
    scores = ranker.score(cases)
    model.seconds.append(time.perf_counter() - started)
    check_scores(scores, cases, name=ranker.name)
    model.seeds.append(ranker)
    columns = [cases.action_names.index(name) for name in actions]
    user = bootstrap.user_of_case
    model.measures.append(
        {
            name: measure(
                np.ascontiguousarray(scores[:, column]),
                cases.labels[:, column],
                cases,
                user,
                bootstrap.n_users,
                ks,
            )
            for name, column in zip(actions, columns, strict=True)
        }
    )


def _resample(models: Sequence[_Model], bootstrap: UserBootstrap) -> None:
    """All figures of all rankers on the same draws, in two passes over them."""
    every = [measures for model in models for by_action in model.measures for measures in by_action.values()]
    statistics = iter(bootstrap.estimates([found for each in every for found in each.statistics.values()]))
    figures = iter(bootstrap.figures([found for each in every for found in each.figures.values()]))
    for model in models:
        for by_action in model.measures:
            estimates: dict[Key, Estimate] = {}
            for action, measures in by_action.items():
                estimates |= {(action, metric): next(statistics) for metric in measures.statistics}
                estimates |= {(action, metric): next(figures) for metric in measures.figures}
                estimates[action, "ece"] = recentred(estimates[action, "ece"])
            model.by_seed.append(estimates)


def _pooled(model: _Model, bootstrap: UserBootstrap) -> dict[Key, Estimate]:
    return {key: bootstrap.over_seeds([seed[key] for seed in model.by_seed]) for key in model.by_seed[0]}


def _result(
    model: _Model,
    estimates: dict[str, dict[Key, Estimate]],
    actions: Sequence[str],
    metrics: Sequence[str],
    best: str | None,
) -> SlateResult:
    own = estimates[model.name]
    bar = estimates[best] if best is not None and best != model.name else None

    def table(cell: Callable[[Key], Any]) -> dict[str, dict[str, Any]]:
        return {action: {metric: cell((action, metric)) for metric in metrics} for action in actions}

    return SlateResult(
        name=model.name,
        is_baseline=bool(getattr(model.seeds[0], "is_baseline", False)),
        n_seeds=len(model.seeds),
        metrics=table(lambda key: own[key].interval()),
        difference=table(lambda key: own[key].minus(bar[key])) if bar else {},
        ratio=table(lambda key: own[key].over(bar[key])) if bar else {},
        seed_values=table(lambda key: [seed[key].mean for seed in model.by_seed]),
        seconds=float(np.mean(model.seconds)),
        note=str(getattr(model.seeds[0], "note", "")),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_dict()
    if isinstance(value, dict):
        return {name: _plain(found) for name, found in value.items()}
    if isinstance(value, list):
        return [_plain(found) for found in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
