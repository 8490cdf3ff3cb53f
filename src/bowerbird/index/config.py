"""How an index is built and searched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bowerbird.tables.errors import ConfigError

Kind = Literal["auto", "exact", "ivf"]


@dataclass(frozen=True)
class IndexConfig:
    """How an index is built and searched.

    exact_below: with kind "auto", fewer vectors than this are searched exactly.
    scan_share: a filter that allows at most this share of the vectors is scanned exactly: an approximate
        search visits a few cells only and would silently come back short or empty.
    lists: cells of the approximate index; 0 = about 4 sqrt(N).
    recall_target: the share of the true best `tuning_k` that the build must reach on a sample of queries; it
        picks how many cells are visited.
    tuning_queries, tuning_k: number of those queries, and their list length.
    """

    exact_below: int = 50_000
    scan_share: float = 0.01
    lists: int = 0
    recall_target: float = 0.98
    tuning_queries: int = 200
    tuning_k: int = 100

    def __post_init__(self) -> None:
        if not 0 <= self.scan_share <= 1 or not 0 < self.recall_target <= 1:
            raise ConfigError("scan_share must lie in [0, 1] and recall_target in (0, 1]")
        if self.tuning_queries < 1 or self.tuning_k < 1 or self.lists < 0:
            raise ConfigError("tuning_queries and tuning_k must be at least 1, lists at least 0")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)
