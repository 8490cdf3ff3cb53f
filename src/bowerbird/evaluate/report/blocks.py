"""What a report is made of besides comparisons and matrices: learning curves, plain tables, notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bowerbird.evaluate.compare import Comparison
from bowerbird.evaluate.outcomes import OutcomeMatrix
from bowerbird.evaluate.slates.compare import SlateComparison

Point = tuple[float, float]


@dataclass(frozen=True)
class LearningCurve:
    """Training loss and a validation metric against steps, one line a run.

    loss, metric: run label -> (step, value) in order. metric_name: what was watched, e.g. "ndcg@10".
    """

    title: str
    loss: dict[str, list[Point]]
    metric: dict[str, list[Point]]
    metric_name: str

    @classmethod
    def from_records(
        cls,
        runs: Mapping[str, Iterable[Mapping[str, Any]]],
        *,
        metric: str = "ndcg@10",
        title: str = "Learning curve",
    ) -> LearningCurve:
        """From the records of training runs: each has `step`, and `loss` (kind "train") or the watched metric.

        Args:
            runs: label (e.g. "seed 0") -> records, as read from `metrics.jsonl`.
            metric: the watched metric.
            title: of the curve.
        """
        loss: dict[str, list[Point]] = {}
        found: dict[str, list[Point]] = {}
        for label, records in runs.items():
            for record in records:
                training = record.get("kind") == "train"
                value = record.get("loss" if training else metric)
                if value is not None and "step" in record:
                    lines = loss if training else found
                    lines.setdefault(label, []).append((float(record["step"]), float(value)))
        return cls(title, loss, found, metric)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        lines = {name: {run: [list(point) for point in points] for run, points in found.items()}
                 for name, found in (("loss", self.loss), ("metric", self.metric))}  # fmt: skip
        return {**self.__dict__, **lines}


@dataclass(frozen=True)
class Table:
    """Any small table. rows: as many cells as `columns`; numbers are shown with four digits."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}


@dataclass(frozen=True)
class Notes:
    """Sentences under a heading."""

    title: str
    lines: Sequence[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"title": self.title, "lines": list(self.lines)}


Block = Comparison | SlateComparison | OutcomeMatrix | LearningCurve | Table | Notes

KINDS: dict[type, str] = {
    Comparison: "comparison",
    SlateComparison: "slate_comparison",
    OutcomeMatrix: "outcome_matrix",
    LearningCurve: "learning_curve",
    Table: "table",
    Notes: "notes",
}
"""The `type` of each block in JSON."""


def shown_metrics(comparison: Comparison) -> list[str]:
    """The metrics worth a column, of those taken; recall only where it says something else than hit rate."""
    taken = comparison.results[0].metrics
    single = comparison.cases["cases"] == comparison.cases["targets"]
    wanted = [
        "hit_rate@10",
        "ndcg@10",
        *(["hit_rate@20", "ndcg@20"] if single else ["recall@10", "recall@20"]),
    ]
    columns = [name for name in dict.fromkeys([*wanted, comparison.headline]) if name in taken]
    return columns if len(columns) > 1 else list(taken)[:6]


def pretty_metric(name: str) -> str:
    """A metric as people write it.

    >>> [pretty_metric(name) for name in ("hit_rate@10", "ndcg@5", "recall@20")]
    ['HR@10', 'NDCG@5', 'Recall@20']
    """
    base, _, k = name.partition("@")
    words = {"hit_rate": "HR", "ndcg": "NDCG", "mrr": "MRR", "recall": "Recall"}
    return f"{words.get(base, base)}@{k}"


def pretty_number(value: Any) -> str:
    """A cell of a table: floats with four significant digits, large integers with separators.

    >>> [pretty_number(value) for value in (0.123456, 12345, None, "x", 1234.5)]
    ['0.1235', '12,345', '-', 'x', '1,234']
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"
