"""Plots as SVG text that takes its colours from the page, so that one file reads well in light and in dark.

Matplotlib draws with stand-in colours; each is replaced by a CSS variable of the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

from bowerbird.evaluate.bootstrap import Interval
from bowerbird.evaluate.compare import Comparison, ModelResult
from bowerbird.evaluate.report.blocks import LearningCurve, pretty_metric
from bowerbird.evaluate.report.slates import slate_metric
from bowerbird.evaluate.slates.compare import SlateComparison, SlateResult

INK, MUTED, GRID = "#010101", "#020202", "#030303"
MODEL_COLOURS = tuple(f"#0a00{place:02x}" for place in range(4))
BASELINE_COLOURS = tuple(f"#0b00{place:02x}" for place in range(8))
_MARKERS = "osD^vPX*"

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    **{colour: f"var(--m{place})" for place, colour in enumerate(MODEL_COLOURS)},
    **{colour: f"var(--b{place})" for place, colour in enumerate(BASELINE_COLOURS)},
}


def colours(results: Sequence[ModelResult | SlateResult]) -> dict[str, str]:
    """A stand-in colour for each model: vivid for models, quiet for baselines."""
    found: dict[str, str] = {}
    models = baselines = 0
    for result in results:
        if result.is_baseline:
            found[result.name] = BASELINE_COLOURS[baselines % len(BASELINE_COLOURS)]
            baselines += 1
        else:
            found[result.name] = MODEL_COLOURS[models % len(MODEL_COLOURS)]
            models += 1
    return found


def markers(results: Sequence[ModelResult]) -> dict[str, str]:
    """A marker for each model, the same in every plot."""
    return {result.name: _MARKERS[place % len(_MARKERS)] for place, result in enumerate(results)}


def forest(comparison: Comparison) -> str:
    """The headline metric of every model with its interval, best on top."""
    found = {result.name: result.metrics[comparison.headline] for result in comparison.results}
    return _forest(found, colours(comparison.results), pretty_metric(comparison.headline))


def slate_forest(comparison: SlateComparison) -> str:
    """The headline metric of every ranker with its interval, highest on top."""
    action, metric = comparison.headline
    found = {result.name: result.metrics[action][metric] for result in comparison.results}
    label = f"{slate_metric(metric)} of {action}"
    return _forest(found, colours(comparison.results), label, from_zero=False)


def _forest(found: dict[str, Interval], shade: dict[str, str], label: str, *, from_zero: bool = True) -> str:
    ordered = sorted(found, key=lambda name: found[name].mean)

    def draw(axes: Any) -> None:
        for place, name in enumerate(ordered):
            value = found[name]
            axes.plot([value.low, value.high], [place, place], color=shade[name], linewidth=2.4)
            axes.plot(value.mean, place, "o", color=shade[name], markersize=7)
            axes.annotate(
                f"{value.mean:.4f}", (value.mean, place), (0, 7), textcoords="offset points", ha="center",
                fontsize=8.5, color=INK,
            )  # fmt: skip
        axes.set_yticks(range(len(ordered)), ordered)
        axes.set_ylim(-0.6, len(ordered) - 0.3)
        if from_zero:
            axes.set_xlim(left=0)
        axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8)
        axes.set_xlabel(f"{label}, 95 % interval over users")

    return _figure(draw, height=0.42 * len(ordered) + 0.9)


def recall_curve(comparison: Comparison) -> str:
    """Recall of every model against list length, with intervals as bands; empty text with fewer than two lengths."""
    taken = comparison.results[0].metrics
    ks = sorted(int(name.partition("@")[2]) for name in taken if name.startswith("recall@"))
    if len(ks) < 2:
        return ""
    shade, marks = colours(comparison.results), markers(comparison.results)
    order = sorted(comparison.results, key=lambda result: -result.metrics[f"recall@{ks[-1]}"].mean)

    def draw(axes: Any) -> None:
        for result in order:
            values = [result.metrics[f"recall@{k}"] for k in ks]
            front = not result.is_baseline
            axes.plot(
                ks, [value.mean for value in values], color=shade[result.name], marker=marks[result.name],
                markersize=5, linewidth=2.4 if front else 1.5, label=result.name, zorder=3 if front else 2,
            )  # fmt: skip
            axes.fill_between(
                ks, [value.low for value in values], [value.high for value in values],
                color=shade[result.name], alpha=0.14, linewidth=0,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("list length k")
        axes.set_ylabel("recall@k")
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
        _legend(axes)

    return _figure(draw, height=3.4)


def popularity_plot(comparison: Comparison) -> str:
    """Recall of targets by how popular their item was in training; empty text with fewer than two buckets."""
    sizes = comparison.segment_sizes["popularity"]
    if len(sizes) < 2:
        return ""
    shade, marks = colours(comparison.results), markers(comparison.results)
    n = len(comparison.results)

    def draw(axes: Any) -> None:
        for number, result in enumerate(comparison.results):
            offset = (number - (n - 1) / 2) * (0.7 / n)
            for place, bucket in enumerate(sizes):
                value = result.segments["popularity"][bucket]
                label = result.name if place == 0 else None
                colour = shade[result.name]
                axes.plot([place + offset] * 2, [value.low, value.high], color=colour, linewidth=1.8)
                axes.plot(
                    place + offset, value.mean, marks[result.name], color=colour, markersize=6, label=label
                )
        labels = [f"{bucket}\n{count:,} targets" for bucket, count in sizes.items()]
        axes.set_xticks(range(len(sizes)), labels)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("training events of the target's item")
        axes.set_ylabel(f"recall@{comparison.cutoff}")
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
        _legend(axes)

    return _figure(draw, height=3.4)


def learning_plot(curve: LearningCurve) -> str:
    """Training loss (left) and the watched metric (right) against steps; empty text without points."""
    panels = [
        (name, lines)
        for name, lines in (("training loss", curve.loss), (curve.metric_name, curve.metric))
        if lines
    ]
    if not panels:
        return ""

    def draw(*all_axes: Any) -> None:
        for axes, (name, lines) in zip(all_axes, panels, strict=True):
            for place, (label, points) in enumerate(lines.items()):
                steps, values = zip(*points, strict=True)
                mark = "o" if len(points) < 40 else None
                axes.plot(
                    steps, values, color=MODEL_COLOURS[place % 4], linewidth=1.8, marker=mark, markersize=4,
                    label=label,
                )  # fmt: skip
            axes.set_xlabel("step")
            axes.set_title(name, fontsize=10, color=INK, loc="left")
            axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
        if max(len(lines) for _, lines in panels) > 1:
            _legend(all_axes[-1])

    return _figure(draw, height=2.9, panels=len(panels))


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9, labelcolor=INK)


def _figure(draw: Callable[..., None], *, height: float, panels: int = 1) -> str:
    """Draw on fresh axes and return inline SVG that scales with the page."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "bowerbird",
        "font.family": "sans-serif",
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "text.color": INK,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(8.2, height), layout="constrained")
        figure.patch.set_alpha(0.0)
        all_axes = figure.subplots(1, panels, squeeze=False)[0]
        for axes in all_axes:
            axes.patch.set_alpha(0.0)
            axes.set_axisbelow(True)
            axes.tick_params(length=0)
        draw(*all_axes)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None, "Creator": None})
    return _themed(out.getvalue())


def _themed(svg: str) -> str:
    start = svg.index("<svg")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[start:], flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r'<svg role="img" \1', svg, count=1)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 var(--font)", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg
