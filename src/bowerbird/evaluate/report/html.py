"""The report as one HTML file: no network, no scripts, light and dark."""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import TYPE_CHECKING, Any

from bowerbird.evaluate.bootstrap import Interval
from bowerbird.evaluate.report import plots
from bowerbird.evaluate.report.blocks import KINDS, pretty_metric, pretty_number, shown_metrics
from bowerbird.evaluate.report.slates import slate_counts, slate_meanings, slate_metric, slate_rules
from bowerbird.evaluate.report.terminal import protocol_lines
from bowerbird.evaluate.slates.measures import LOWER_IS_BETTER

if TYPE_CHECKING:
    from bowerbird.evaluate.report.report import Report


def render(report: Report) -> str:
    """The whole page."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        plot=lambda name, block: Markup(getattr(plots, name)(block)),  # our own drawing, not a person's text
        kind=lambda block: KINDS[type(block)],
        shown_metrics=shown_metrics,
        protocol_lines=protocol_lines,
        slate_counts=slate_counts,
        slate_meanings=slate_meanings,
        slate_rules=slate_rules,
        lower_is_better=LOWER_IS_BETTER,
        tint=tint,
        dump=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
    environment.filters.update(
        metric=pretty_metric, slate_metric=slate_metric, number=pretty_number, bounds=bounds, signed=signed
    )
    source = resources.files("bowerbird.evaluate.report").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(report=report, page=report.to_dict())


def bounds(interval: Interval, digits: int = 4) -> str:
    """The interval in brackets."""
    if math.isnan(interval.low):
        return ""
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def signed(value: float) -> str:
    """A ratio as a signed percentage.

    >>> signed(1.053), signed(0.9), signed(float("nan"))
    ('+5.3 %', '-10.0 %', '-')
    """
    return "-" if math.isnan(value) else f"{(value - 1) * 100:+.1f} %"


def tint(lift: Any) -> str:
    """The background of a matrix cell: towards one colour for a lift, another for a drop, none when unsettled."""
    if lift is None or math.isnan(lift.mean) or not lift.excludes(1):
        return ""
    strength = min(70, round(12 + 160 * abs(math.log(max(lift.mean, 1e-3)))))
    colour = "--up" if lift.mean > 1 else "--down"
    return f"background: color-mix(in oklab, var({colour}) {strength}%, transparent)"
