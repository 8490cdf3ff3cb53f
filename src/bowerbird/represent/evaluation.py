"""OmniSage's report: users to items warm and cold, cold items among themselves, pairs, and how training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bowerbird.evaluate.baselines import QUICK_GRIDS, fitted_baselines
from bowerbird.evaluate.compare import compare
from bowerbird.evaluate.report import LearningCurve, Report, Table, gather_facts
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.measuring.cold import Among, Scorer, cold_cases
from bowerbird.represent.measuring.pairs import pair_table
from bowerbird.tables.view import LastOut, TimeWall, View

FLOORS = ("popularity", "itemknn", "ease", "pagerank", "content", "lightgcn")
"""What stands in every table."""

_CASES, _PAIRS = 10_000, 2_000
_FEWEST_TARGETS = 20
_INNER_SHARE = 0.1
_HEADLINE = "recall@20"


def report(
    artifacts: Sequence[Artifact], view: View, *, since: View, run: Run | None = None,
    baselines: Sequence[str] = FLOORS, tuning: View | None = None, limit: int = _CASES, quick: bool = False,
    grids: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    variants: Mapping[str, Sequence[Artifact]] | None = None,
) -> Report:  # fmt: skip
    """Measure fitted models on what ``view`` shows and ``since`` does not.

    Args:
        artifacts: one model, or the same model fitted with several seeds.
        view: shows the targets. since: the view before them.
        run: says what is being done; quiet when left out.
        baselines: short names; tuned on what ``since`` shows beyond ``tuning`` and fitted on all of ``since``.
        tuning: an earlier view; the last tenth of ``since`` is held out when left out.
        limit: most cases.
        quick: smaller grids for the baselines. grids: grids of one's own.
        variants: further rows, by name: models with other settings, a seed each.
    """
    run = run or Run(quiet=True)
    opened = {
        name: [OpenOmniSage.open(artifact, since) for artifact in seeds]
        for name, seeds in {"OmniSage": artifacts, **(variants or {})}.items()
    }
    cases = held_out_cases(view, since, limit=limit)
    inner = tuning or inner_view(since)
    fitted, log = fitted_baselines(
        inner, held_out_cases(since, inner, limit=2_000), since, names=baselines, metric=_HEADLINE,
        grids=grids or (QUICK_GRIDS if quick else None), seeds=range(len(artifacts)), on_progress=run.say,
    )  # fmt: skip
    ours = [OmniSageRecommender(one, name) for name, seeds in opened.items() for one in seeds]
    result = Report(
        title="OmniSage beside the honest baselines", dataset=view.dataset,
        facts=gather_facts(view, **_facts(artifacts)), config=dict(artifacts[0].config),
    )  # fmt: skip
    result.add(compare([*ours, *fitted], cases, title="Users to items, all items ranked", headline=_HEADLINE))
    cold = cold_cases(cases)
    if cold.n_targets >= _FEWEST_TARGETS:
        allowed = since.item_counts() == 0
        scorers: list[Scorer] = [*ours, *fitted]
        some = [Among(scorer, allowed) for scorer in scorers]
        result.add(compare(some, cold, title="Users to cold items, cold items ranked", headline=_HEADLINE))
    result.add(pair_table(opened["OmniSage"], view, since, limit=_PAIRS))
    result.add(
        LearningCurve.from_records({_label(a): _records(a) for a in artifacts}, metric=_HEADLINE),
        Table(
            "How the baselines were tuned",
            ["baseline", "settings", "metric", "validation", "seconds"],
            [[t.baseline, str(t.settings), t.metric, t.score, round(t.seconds, 1)] for t in log],
        ),
    )
    return result


def inner_view(since: View) -> View:
    """An earlier view whose held-out rows in ``since`` tune baselines: the last event of each user behind a
    ``LastOut`` wall, else the last tenth of the events."""
    last = since.walls[-1] if since.walls else None
    if isinstance(last, LastOut):
        return since.narrow(LastOut(last.k + 1))
    return since.narrow(TimeWall(int(np.quantile(since.positives.time, 1 - _INNER_SHARE))))


def _label(artifact: Artifact) -> str:
    return f"seed {artifact.facts['seed']}"


def _records(artifact: Artifact) -> list[dict[str, Any]]:
    training = artifact.facts["training"]
    losses = [{"kind": "train", "step": point["step"], "loss": point["loss"]} for point in training["losses"]]
    return [*losses, *training["history"]]


def _facts(artifacts: Sequence[Artifact]) -> dict[str, object]:
    first = artifacts[0].facts
    return {
        "seeds": [artifact.facts["seed"] for artifact in artifacts],
        "trained_before": first["wall"],
        "parameters": first["parameters"],
        "nodes": first["nodes"],
        "subsets": first["subsets"],
        "training_seconds": [round(artifact.facts["training"]["seconds"], 1) for artifact in artifacts],
        "steps": [artifact.facts["training"]["steps"] for artifact in artifacts],
    }
