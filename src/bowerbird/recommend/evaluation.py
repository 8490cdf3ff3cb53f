"""PinRec's report: beside every baseline, by outcome, and how training went.

The protocol follows the wall: behind a ``LastOut`` wall each user's held-out event is the target (the literature's
leave-last-out); behind a wall in time every held-out event is asked for in turn with the history before it, and, as a
second table, everything a user does after the wall is asked for at once. Where users were hidden from training, only
they are asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bowerbird.evaluate.baselines import BASELINES, fitted_baselines
from bowerbird.evaluate.baselines.base import Baseline
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.compare import Comparison, compare
from bowerbird.evaluate.outcomes import OutcomeMatrix, outcome_matrix
from bowerbird.evaluate.protocols import future_cases, leave_last_out_cases, next_event_cases
from bowerbird.evaluate.ranking import Recommender
from bowerbird.evaluate.report import LearningCurve, Report, Table, gather_facts
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.inputs.conditions import UNSPECIFIED
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.view import LastOut, TimeWall, View, WithoutUsers

_CASES = 5_000
_FEWEST_USERS = 20
_INNER_SHARE = 0.1


def report(
    artifacts: Sequence[Artifact], view: View, *, since: View, run: Run | None = None,
    baselines: Sequence[str] = tuple(BASELINES), limit: int = _CASES, same_session_only: bool = False,
    headline: str = "ndcg@10", variants: Mapping[str, Sequence[Artifact]] | None = None,
    opened_class: type[OpenPinRec] = OpenPinRec, label: str = "PinRec",
    grids: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> Report:  # fmt: skip
    """Measure fitted models on what ``view`` shows and ``since`` does not.

    Args:
        artifacts: one model, or the same model fitted with several seeds.
        view: shows the targets.
        since: the view before them.
        run: says what is being done; quiet when left out.
        baselines: short names; they are tuned on the end of ``since`` and fitted on all of it.
        limit: most cases per table.
        same_session_only: keep only next-event cases that continue a slate.
        headline: the metric that picks the best baseline.
        variants: further rows, by name: models fitted otherwise (e.g. on more data), a seed each.
        opened_class, label: how the artifacts are opened and what their rows are called.
        grids: settings to try for the baselines; the full grids when left out.
    """
    run = run or Run(quiet=True)
    opened = [opened_class.open(artifact, view) for artifact in artifacts]
    beside = {
        name: [opened_class.open(artifact, view) for artifact in others]
        for name, others in (variants or {}).items()
    }
    asked = _cases(view, since, limit=limit, same_session_only=same_session_only)
    inner = inner_view(since)
    tuning = next_event_cases(since, inner, limit=2_000, same_session_only=same_session_only)
    fitted, log = fitted_baselines(
        inner,
        tuning,
        since,
        names=baselines,
        grids=grids,
        metric=headline,
        on_progress=run.say,
        seeds=range(len(artifacts)),
    )
    first, facts = artifacts[0], artifacts[0].facts
    result = Report(
        title=f"{label} beside the honest baselines",
        dataset=view.dataset,
        facts=gather_facts(view, **_facts(artifacts)),
        config=dict(first.config),
    )
    for title, cases in asked.items():
        result.add(_comparison(title, cases, {label: opened, **beside}, fitted, headline, run))
    actions = facts["conditions"]["actions"]
    if first.config["outcome_conditioning"] and len(actions) > 1:
        result.add(matrix(opened, list(asked.values())[-1], actions))
    result.add(_curve(artifacts))
    rows = [[t.baseline, str(t.settings), t.metric, t.score, round(t.seconds, 1)] for t in log]
    result.add(
        Table(
            "How the baselines were tuned", ["baseline", "settings", "metric", "validation", "seconds"], rows
        )
    )
    return result


def inner_view(since: View) -> View:
    """An earlier view whose held-out rows in ``since`` serve to tune baselines: the last event of each user behind
    a ``LastOut`` wall, else the last tenth of the events."""
    if isinstance(since.walls[-1] if since.walls else None, LastOut):
        last = since.walls[-1]
        assert isinstance(last, LastOut)
        return since.narrow(LastOut(last.k + 1))
    times = since.positives.time
    return since.narrow(TimeWall(int(np.quantile(times, 1 - _INNER_SHARE))))


def matrix(opened: Sequence[OpenPinRec], cases: Cases, actions: Sequence[str]) -> OutcomeMatrix:
    """Which targets are found under which condition (A6); one vector per condition."""
    answers = {
        name: [PinRecRecommender(o, name, Plan(outcomes={name: 1.0})).recommend(cases, 10) for o in opened]
        for name in (UNSPECIFIED, *actions)
    }
    return outcome_matrix(answers, cases, k=10, reference=UNSPECIFIED)


def _cases(view: View, since: View, *, limit: int, same_session_only: bool) -> Mapping[str, Cases]:
    if isinstance(since.walls[-1] if since.walls else None, LastOut):
        return {"Leave last out": leave_last_out_cases(view, since)}
    hidden = [wall for wall in since.walls if isinstance(wall, WithoutUsers)]
    if hidden:
        strangers = np.any([wall.hides(since.n_users) for wall in hidden], axis=0)
        cases = next_event_cases(
            view, since.with_all_users(), train=since, same_session_only=same_session_only, users=strangers,
            limit=limit,
        )  # fmt: skip
        return {"Next event of users the models have never met, rolling": cases}
    found = {
        "Next event after the wall, rolling": next_event_cases(
            view, since, limit=limit, same_session_only=same_session_only
        )
    }
    later = future_cases(view, since, limit=limit)
    if len(later) >= _FEWEST_USERS:
        found["Everything after the wall"] = later
    return found


def _comparison(
    title: str,
    cases: Cases,
    opened: Mapping[str, Sequence[OpenPinRec]],
    fitted: Sequence[Baseline],
    headline: str,
    run: Run,
) -> Comparison:
    """The first of ``opened`` is the model itself."""
    models: list[Recommender] = []
    for place, (name, seeds) in enumerate(opened.items()):
        models += [PinRecRecommender(o, name) for o in seeds]
        conditions = seeds[0].conditions
        if place == 0 and seeds[0].config.outcome_conditioning and len(conditions.actions) > 1:
            # the mix a platform would start from: every outcome in proportion to how often it happens
            prior = dict(zip(conditions.actions, conditions.counts, strict=True))
            note = f"budget over outcomes as in training: {', '.join(prior)}"
            models += [
                PinRecRecommender(o, f"{name}, outcome mix", Plan(outcomes=prior), note=note) for o in seeds
            ]
    models += fitted
    return compare(
        models, cases, title=title, headline=headline, on_progress=lambda name: run.say(f"{title}: {name}")
    )


def _curve(artifacts: Sequence[Artifact]) -> LearningCurve:
    runs = {}
    for artifact in artifacts:
        training = artifact.facts["training"]
        runs[f"seed {artifact.facts['seed']}"] = [
            *(
                {"kind": "train", "step": point["step"], "loss": point["loss"]}
                for point in training["losses"]
            ),
            *training["history"],
        ]
    return LearningCurve.from_records(runs)


def _facts(artifacts: Sequence[Artifact]) -> dict[str, object]:
    return {
        "seeds": [artifact.facts["seed"] for artifact in artifacts],
        "trained_before": artifacts[0].facts["wall"],
        "parameters": artifacts[0].facts["parameters"],
        "training_seconds": [round(artifact.facts["training"]["seconds"], 1) for artifact in artifacts],
        "epochs": [artifact.facts["training"]["epochs"] for artifact in artifacts],
    }
