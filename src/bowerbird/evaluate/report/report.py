"""A report: blocks with their circumstances, as JSON, as one HTML file, on the terminal."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowerbird.evaluate.compare import Comparison
from bowerbird.evaluate.report.blocks import KINDS, Block, pretty_metric
from bowerbird.evaluate.report.slates import slate_verdicts
from bowerbird.evaluate.slates.compare import SlateComparison
from bowerbird.tables.atomic import write_atomic

if TYPE_CHECKING:
    from rich.console import Console

FORMAT = 1


@dataclass
class Report:
    """Everything one evaluation has to say.

    title: what was evaluated. dataset: on what. blocks: in the order they are shown. facts: see `gather_facts`.
    config: the settings that were used. summary: a sentence for the top; written from the first comparison when empty.
    """

    title: str
    dataset: str
    blocks: list[Block] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: str = ""

    def add(self, *blocks: Block) -> Report:
        """Append blocks; returns the report."""
        self.blocks.extend(blocks)
        return self

    def headline(self) -> str:
        """The summary, or what the first comparison says in one sentence a model."""
        if self.summary:
            return self.summary
        found = next(
            (block for block in self.blocks if isinstance(block, Comparison | SlateComparison)), None
        )
        if isinstance(found, SlateComparison):
            return " ".join(slate_verdicts(found))
        return " ".join(verdicts(found)) if found else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without NaN."""
        head = {"format": FORMAT, "title": self.title, "dataset": self.dataset, "summary": self.headline()}
        blocks = [{"type": KINDS[type(block)], **block.to_dict()} for block in self.blocks]
        plain: dict[str, Any] = finite({**head, "blocks": blocks, "facts": self.facts, "config": self.config})
        return plain

    def save(self, folder: str | Path) -> tuple[Path, Path]:
        """Write `report.json` and the self-contained `report.html`; returns their paths."""
        from bowerbird.evaluate.report.html import render

        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False, default=str)
        write_atomic(target / "report.json", text.encode() + b"\n")
        write_atomic(target / "report.html", render(self).encode())
        return target / "report.json", target / "report.html"

    def print(self, console: Console | None = None) -> None:
        """Show the tables on a terminal."""
        from bowerbird.evaluate.report.terminal import show

        show(self, console)


def verdicts(comparison: Comparison) -> list[str]:
    """What the comparison says about each model that is no baseline, against the best baseline."""
    name = pretty_metric(comparison.headline)
    lines = []
    for result in comparison.results:
        if result.is_baseline or not result.ratio:
            continue
        ratio, difference = result.ratio[comparison.headline], result.difference[comparison.headline]
        value = f"{result.name} reaches {name} {result.metrics[comparison.headline].mean:.4f}"
        if math.isnan(ratio.mean):
            lines.append(f"{value}; the best baseline, {comparison.best_baseline}, scores zero.")
            continue
        more = f"{abs(ratio.mean - 1):.1%} {'above' if ratio.mean >= 1 else 'below'}"
        sure = "" if difference.excludes(0) else ", a difference the interval does not settle"
        lines.append(
            f"{value}, {more} the best baseline, {comparison.best_baseline} "
            f"(ratio {ratio.low:.3f} to {ratio.high:.3f} at 95 %{sure})."
        )
    return lines


def finite(value: Any) -> Any:
    """The same nested value with NaN and infinities as None, tuples as lists and keys as text."""
    if isinstance(value, dict):
        return {str(name): finite(found) for name, found in value.items()}
    if isinstance(value, list | tuple):
        return [finite(found) for found in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        return finite(value.item())
    return value
