"""A report on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from bowerbird.evaluate.bootstrap import Interval
from bowerbird.evaluate.compare import Comparison, ModelResult
from bowerbird.evaluate.outcomes import OutcomeMatrix
from bowerbird.evaluate.report.blocks import (
    LearningCurve,
    Notes,
    Table,
    pretty_metric,
    pretty_number,
    shown_metrics,
)
from bowerbird.evaluate.report.slates import slate_grid
from bowerbird.evaluate.slates.compare import SlateComparison

if TYPE_CHECKING:
    from bowerbird.evaluate.report.report import Report


def show(report: Report, console: Console | None = None) -> None:
    """Print a report."""
    out = console or Console()
    out.print()
    out.print(Text(report.title, style="bold"), Text(f"on {report.dataset}", style="dim"))
    if report.headline():
        out.print(report.headline())
    for block in report.blocks:
        out.print()
        if isinstance(block, Comparison):
            out.print(comparison_grid(block))
        elif isinstance(block, SlateComparison):
            out.print(slate_grid(block))
        elif isinstance(block, OutcomeMatrix):
            out.print(matrix_grid(block))
        elif isinstance(block, Table):
            out.print(_plain_grid(block))
        elif isinstance(block, Notes):
            out.print(Text(block.title, style="bold"), *block.lines, sep="\n")
        elif isinstance(block, LearningCurve):
            out.print(_curve_line(block))


def comparison_grid(comparison: Comparison) -> RenderableType:
    """Models by metrics; the best of each column bold, half the width of the 95 % interval behind each figure."""
    columns = shown_metrics(comparison)
    grid = Grid(title=comparison.title or None, title_justify="left", header_style="bold", pad_edge=False)
    grid.add_column("model", no_wrap=True)
    for name in columns:
        grid.add_column(pretty_metric(name), justify="right", no_wrap=True)
    against = comparison.best_baseline
    grid.add_column(f"{pretty_metric(comparison.headline)}\nvs best", justify="right", no_wrap=True)
    grid.add_column(f"coverage\ntop {comparison.cutoff}", justify="right", no_wrap=True)
    grid.add_column("seeds", justify="right", no_wrap=True)
    best = {name: max(result.metrics[name].mean for result in comparison.results) for name in columns}
    for result in comparison.results:
        cells = [
            Text(
                _figure(result.metrics[name]), style="bold" if result.metrics[name].mean == best[name] else ""
            )
            for name in columns
        ]
        grid.add_row(
            Text(result.name, style="" if result.is_baseline else "bold cyan"),
            *cells,
            _against(result, comparison),
            f"{result.lists['coverage']:.1%}",
            str(result.n_seeds),
        )
    counts = comparison.cases
    small = [
        f"{counts['cases']:,} cases of {counts['users']:,} users, {counts['targets']:,} targets "
        f"({counts['cold_targets']:,} cold), {counts['items']:,} items; ± is half the 95 % interval over users",
        f"best baseline by {pretty_metric(comparison.headline)}: {against or 'none'}",
        *(f"{name}: {text}" for name, text in protocol_lines(comparison)),
    ]
    return Group(grid, Text("\n".join(small), style="dim"))


def protocol_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """The rules of the evaluation as (name, text)."""
    names = {
        "name": "protocol",
        "targets": "targets",
        "history": "known to models",
        "walls": "walls",
        "seen": "seen rule",
        "universe": "items ranked",
        "slates": "slate rule",
        "event_ties": "tied events",
        "score_ties": "tied scores",
    }
    lines = [
        (text, str(comparison.protocol[name])) for name, text in names.items() if comparison.protocol[name]
    ]
    return lines + [("left out", str(note)) for note in comparison.protocol["notes"]]


def matrix_grid(matrix: OutcomeMatrix) -> RenderableType:
    """Conditions by true actions: recall, and the lift against the reference."""
    grid = Grid(title=f"{matrix.title} ({matrix.metric})", title_justify="left", pad_edge=False)
    grid.add_column("asked for")
    for name in matrix.columns:
        grid.add_column(f"{name}\n{matrix.share[name]:.1%} of targets", justify="right")
    for row in matrix.rows:
        cells = []
        for column in matrix.columns:
            text = _figure(matrix.recall[row][column])
            lift = matrix.lift.get(row, {}).get(column)
            sure = lift is not None and lift.excludes(1)
            if lift is not None and not math.isnan(lift.mean):
                text += f"\nx{lift.mean:.3f} [{lift.low:.3f}, {lift.high:.3f}]"
            up = lift is not None and lift.mean > 1
            cells.append(Text(text, style=("green" if up else "red") if sure else ""))
        grid.add_row(Text(row, style="bold"), *cells)
    return grid


def _plain_grid(table: Table) -> RenderableType:
    grid = Grid(title=table.title, title_justify="left", pad_edge=False)
    for place, name in enumerate(table.columns):
        numeric = all(isinstance(row[place], int | float) for row in table.rows)
        grid.add_column(name, justify="right" if numeric else "left")
    for row in table.rows:
        grid.add_row(*(pretty_number(cell) for cell in row))
    return Group(grid, Text(table.note, style="dim")) if table.note else grid


def _curve_line(curve: LearningCurve) -> RenderableType:
    best = [max(value for _, value in points) for points in curve.metric.values() if points]
    text = f": best {curve.metric_name} {', '.join(f'{value:.4f}' for value in best)}" if best else ""
    return Text(f"{curve.title}{text}", style="dim")


def _figure(interval: Interval) -> str:
    return f"{interval.mean:.4f} ±{(interval.high - interval.low) / 2:.4f}"


def _against(result: ModelResult, comparison: Comparison) -> Text:
    difference = result.difference.get(comparison.headline)
    if difference is None:
        return Text("best" if result.name == comparison.best_baseline else "")
    ratio = result.ratio[comparison.headline]
    style = ("green" if difference.low > 0 else "red") if difference.excludes(0) else "dim"
    return Text(f"{ratio.mean - 1:+.1%}", style=style)
