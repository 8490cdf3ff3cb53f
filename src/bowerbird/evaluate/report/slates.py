"""A slate comparison on the terminal, as sentences, and as the words a page needs."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from bowerbird.evaluate.bootstrap import Interval
from bowerbird.evaluate.slates.compare import SlateComparison, SlateResult
from bowerbird.evaluate.slates.measures import LOWER_IS_BETTER, MEANING

_WORDS = {
    "auc": "AUC",
    "gauc": "GAUC",
    "slate_auc": "slate AUC",
    "ndcg": "NDCG",
    "log_loss": "log loss",
    "ece": "ECE",
    "calibration": "said/seen",
}
_RULES = {
    "name": "protocol",
    "chosen": "slates",
    "slates": "slate rule",
    "history": "known to rankers",
    "live": "counts",
    "rows": "rows",
    "walls": "walls",
    "event_ties": "tied events",
    "score_ties": "tied scores",
}


def slate_metric(name: str) -> str:
    """A metric of slates as people write it.

    >>> [slate_metric(name) for name in ("slate_auc", "hit@3", "calibration")]
    ['slate AUC', 'Hit@3', 'said/seen']
    """
    return _WORDS.get(name, name.replace("hit", "Hit"))


def slate_meanings(comparison: SlateComparison) -> list[tuple[str, str]]:
    """(metric, what it is) for every metric of the table."""
    hits = [name for name in comparison.metrics if name.startswith("hit@")]
    shown = [(slate_metric(name), MEANING[name]) for name in comparison.metrics if name in MEANING]
    return shown + [(slate_metric(name), MEANING["hit"].format(k=name.partition("@")[2])) for name in hits]


def slate_rules(comparison: SlateComparison) -> list[tuple[str, str]]:
    """The rules of the evaluation as (name, text)."""
    lines = [
        (text, str(comparison.protocol[name])) for name, text in _RULES.items() if comparison.protocol[name]
    ]
    return lines + [("left out", str(note)) for note in comparison.protocol["notes"]]


def slate_counts(comparison: SlateComparison) -> str:
    """What was measured, in one sentence."""
    counts = comparison.slates
    return (
        f"{counts['slates']:,} slates of {counts['users']:,} users ({counts['new_users']:,} new), "
        f"{counts['rows']:,} rows, {counts['rows_without_action']:,} without any action"
    )


def slate_verdicts(comparison: SlateComparison) -> list[str]:
    """What the comparison says about each ranker that is no baseline, against the best baseline."""
    action, metric = comparison.headline
    better = -1.0 if metric in LOWER_IS_BETTER else 1.0
    lines = []
    for result in comparison.results:
        if result.is_baseline or not result.ratio:
            continue
        ratio, difference = result.ratio[action][metric], result.difference[action][metric]
        value = f"{result.name} reaches {slate_metric(metric)} {result.metrics[action][metric].mean:.4f} for {action}"
        if math.isnan(ratio.mean):
            lines.append(f"{value}; there is no ratio to the best baseline, {comparison.best_baseline}.")
            continue
        word = "better" if better * (ratio.mean - 1) >= 0 else "worse"
        sure = "" if difference.excludes(0) else ", a difference the interval does not settle"
        lines.append(
            f"{value}, {abs(ratio.mean - 1):.1%} {word} than the best baseline, {comparison.best_baseline} "
            f"(ratio {ratio.low:.3f} to {ratio.high:.3f} at 95 %{sure})."
        )
    return lines


def slate_grid(comparison: SlateComparison) -> RenderableType:
    """One table an action: rankers by metrics, the best of each column bold."""
    grids = [_action_grid(comparison, action) for action in comparison.actions]
    small = [
        f"{slate_counts(comparison)}; ± is half the 95 % interval over users",
        f"best baseline by {slate_metric(comparison.headline[1])} of {comparison.headline[0]}: "
        f"{comparison.best_baseline or 'none'}",
        *(f"{name}: {text}" for name, text in [*slate_meanings(comparison), *slate_rules(comparison)]),
    ]
    title = [Text(comparison.title, style="bold")] if comparison.title else []
    return Group(*title, *grids, Text("\n".join(small), style="dim"))


def _action_grid(comparison: SlateComparison, action: str) -> Grid:
    rate = comparison.slates["rate"][action]
    rankable = comparison.slates["rankable_slates"][action]
    grid = Grid(
        title=f"{action}: {rate:.2%} of rows, {rankable:,} slates to rank",
        title_justify="left",
        pad_edge=False,
    )
    grid.add_column("ranker", no_wrap=True)
    for name in comparison.metrics:
        grid.add_column(slate_metric(name), justify="right", no_wrap=True)
    metric = comparison.headline[1]
    grid.add_column(f"{slate_metric(metric)}\nvs best", justify="right", no_wrap=True)
    grid.add_column("seeds", justify="right", no_wrap=True)
    for result in comparison.results:
        cells = [
            Text(
                _figure(result.metrics[action][name]),
                style="bold" if result.metrics[action][name].mean == comparison.best(action, name) else "",
            )
            for name in comparison.metrics
        ]
        grid.add_row(
            Text(result.name, style="" if result.is_baseline else "bold cyan"),
            *cells,
            _against(result, comparison, action, metric),
            str(result.n_seeds),
        )
    return grid


def _figure(interval: Interval) -> str:
    if math.isnan(interval.mean):
        return "-"
    return f"{interval.mean:.4f}\n±{(interval.high - interval.low) / 2:.4f}"


def _against(result: SlateResult, comparison: SlateComparison, action: str, metric: str) -> Text:
    if not result.difference:
        return Text("best" if result.name == comparison.best_baseline else "")
    difference, ratio = result.difference[action][metric], result.ratio[action][metric]
    if math.isnan(ratio.mean):
        return Text("-")
    good = difference.mean > 0 if metric not in LOWER_IS_BETTER else difference.mean < 0
    style = ("green" if good else "red") if difference.excludes(0) else "dim"
    return Text(f"{ratio.mean - 1:+.1%}", style=style)
