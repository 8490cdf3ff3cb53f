"""UniPinRec's report: what it retrieves beside the baselines, and how it orders slates beside the rankers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bowerbird.evaluate.baselines import BASELINES
from bowerbird.evaluate.rankers import RANKERS, fitted_rankers
from bowerbird.evaluate.report import Report
from bowerbird.evaluate.slates import Ranker, SlateCases, SlateComparison, rank_compare, slate_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.evaluation import report as retrieval_report
from bowerbird.recommend.ranking.opened import OpenUniPinRec, UniPinRecRanker
from bowerbird.tables.view import View

_LABEL = "UniPinRec"
_SLATES = 20_000
QUICK_RANKERS = ("popularity", "logistic")
"""Rankers of a demonstration: fitted in seconds."""


def report(
    artifacts: Sequence[Artifact], view: View, *, since: View, run: Run | None = None,
    baselines: Sequence[str] = tuple(BASELINES), rankers: Sequence[str] = QUICK_RANKERS, limit: int = 5_000,
    grids: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
) -> Report:  # fmt: skip
    """PinRec's report with a slate table behind the first comparison, where the data has slates to order.

    Args:
        artifacts: one model, or the same model fitted with several seeds.
        view, since, run, baselines, limit, grids: see :func:`bowerbird.recommend.evaluation.report`.
        rankers: short names of what stands beside it in the slate table; fitted on ``since``.
    """
    run = run or Run(quiet=True)
    found = retrieval_report(
        artifacts, view, since=since, run=run, baselines=baselines, limit=limit, grids=grids,
        opened_class=OpenUniPinRec, label=_LABEL,
    )  # fmt: skip
    table = slate_table(artifacts, view, since=since, run=run, rankers=rankers)
    if table is not None:
        found.blocks.insert(1, table)
    return found


def slate_table(
    artifacts: Sequence[Artifact], view: View, *, since: View, run: Run, rankers: Sequence[str] = tuple(RANKERS),
    slates: int = _SLATES,
) -> SlateComparison | None:  # fmt: skip
    """How the model and rankers order the slates that ``view`` shows and ``since`` does not.

    Args:
        artifacts, view, since, run: as above.
        rankers: short names.
        slates: most slates.

    Returns:
        ``None`` where no slate has a row with and one without some action, or the model does not rank.
    """
    opened = [OpenUniPinRec.open(artifact, view) for artifact in artifacts]
    cases = slate_cases(view, since, limit=slates)
    if not opened[0].ranks or not rankable(cases):
        return None
    models: list[Ranker] = [UniPinRecRanker(o, _LABEL) for o in opened]
    models += fitted_rankers(since, rankers, seeds=range(len(artifacts)), on_progress=run.say)
    return rank_compare(
        models, cases, title="Order inside slates", on_progress=lambda name: run.say(f"slates: {name}")
    )


def rankable(cases: SlateCases) -> bool:
    """Whether some action is on some rows of a slate and not on all."""
    return bool(len(cases)) and any(count > 0 for count in cases.summary()["rankable_slates"].values())
