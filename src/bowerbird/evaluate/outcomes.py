"""The outcome x outcome matrix: ask for one outcome, see whose targets are found.

Shapes: C cases, T targets, k list length. Source: PinRec A6 (conditioning test): rows are the condition the
whole budget went to, columns the true action of the target, cells the recall of that column's targets; the
lift is the paired ratio to the row of the unconditioned model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bowerbird.evaluate.bootstrap import Estimate, Interval, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.metrics.segments import Segments, actions
from bowerbird.evaluate.metrics.unordered import VectorLists, unordered_ranks
from bowerbird.evaluate.ranking import Ranking
from bowerbird.tables.errors import ConfigError

Answer = Ranking | VectorLists


@dataclass(frozen=True)
class OutcomeMatrix:
    """Recall by condition and true action.

    rows: conditions; columns: true actions; recall[row][column]; lift[row][column] against `reference`
    (empty where there is none); share[column]: share of all targets that carry the action (its rarity).
    """

    title: str
    metric: str
    rows: list[str]
    columns: list[str]
    reference: str | None
    recall: dict[str, dict[str, Interval]]
    lift: dict[str, dict[str, Interval]]
    share: dict[str, float]

    def diagonal(self) -> dict[str, Interval]:
        """Lift of each action under its own condition."""
        return {name: self.lift[name][name] for name in self.columns if name in self.lift}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        tables = {
            name: {
                row: {column: cell.to_dict() for column, cell in cells.items()}
                for row, cells in found.items()
            }
            for name, found in (("recall", self.recall), ("lift", self.lift))
        }
        return {**self.__dict__, **tables}


def outcome_matrix(
    answers: Mapping[str, Answer | Sequence[Answer]],
    cases: Cases,
    *,
    k: int,
    reference: str | None = None,
    columns: Segments | None = None,
    title: str = "Recall by outcome asked for and outcome that came",
    seed: int = 0,
    resamples: int = 1000,
) -> OutcomeMatrix:
    """Measure what each condition retrieves.

    Args:
        answers: condition -> its lists for all cases; a sequence of answers counts as seeds. `VectorLists`
            are measured by unordered recall (found in any vector's list), so give every condition the same
            number of vectors.
        cases: the cases.
        k: cut-off (of one vector's list for `VectorLists`).
        reference: the condition the lifts are taken against, e.g. the unconditioned one.
        columns: parts of the targets; the positive actions of the store when left out.
        title: of the matrix.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Raises:
        ConfigError: no conditions, or `reference` is none of them.
    """
    if not answers or (reference is not None and reference not in answers):
        raise ConfigError(f"reference {reference!r} is none of the conditions {list(answers)}")
    parts = actions(cases) if columns is None else columns
    bootstrap = UserBootstrap(cases.user, resamples=resamples, seed=seed)
    estimates: dict[str, dict[str, Estimate]] = {}
    for name, answer in answers.items():
        seeds = [answer] if isinstance(answer, Ranking | VectorLists) else list(answer)
        per_seed = [_by_column(found, cases, parts, k, bootstrap) for found in seeds]
        estimates[name] = {part: bootstrap.over_seeds([found[part] for found in per_seed]) for part in parts}
    first = next(iter(answers.values()))
    several = isinstance(first if isinstance(first, Ranking | VectorLists) else first[0], VectorLists)
    base = estimates[reference] if reference is not None else None
    return OutcomeMatrix(
        title=title,
        metric=f"unordered recall@{k}" if several else f"recall@{k}",
        rows=list(answers),
        columns=list(parts),
        reference=reference,
        recall={
            row: {part: cell.interval() for part, cell in cells.items()} for row, cells in estimates.items()
        },
        lift={
            row: {part: cell.over(base[part]) for part, cell in cells.items()}
            for row, cells in estimates.items()
            if base is not None and row != reference
        },
        share={part: float(chosen.mean()) for part, chosen in parts.items()},
    )


def _by_column(
    answer: Answer, cases: Cases, parts: Segments, k: int, bootstrap: UserBootstrap
) -> dict[str, Estimate]:
    ranks = unordered_ranks(answer, cases) if isinstance(answer, VectorLists) else target_ranks(answer, cases)
    statistics = [Statistic.of_targets(ranks < k, cases.target_offsets, chosen) for chosen in parts.values()]
    return dict(zip(parts, bootstrap.estimates(statistics), strict=True))
