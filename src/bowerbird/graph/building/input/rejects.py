"""The report of rejected edges: one JSON line each, and the share at which a build stops."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import orjson

from bowerbird.graph.building.input.checks import REASONS, STRANGER, Rejected
from bowerbird.graph.errors import EdgesRejectedError
from bowerbird.tables.atomic import write_atomic

FILE = "rejected.jsonl"
_HOPELESS_EDGES, _HOPELESS_SHARE = 10_000, 0.5


class RejectedEdges:
    """Writes rejected edges to a file of the unfinished graph, and counts them by relation and reason.

    Args:
        folder: Folder of the unfinished graph.
        final: Where the graph will be; the report of a stopped build is put beside it.
        max_share: A build stops when a larger share of a relation's edges is rejected.
    """

    def __init__(self, folder: Path, final: Path, max_share: float) -> None:
        self._path, self._final, self._max_share = folder / FILE, final, max_share
        self._first: dict[str, dict[str, object]] = {}
        self.counts: dict[str, Counter[str]] = {}

    def add(self, relation: str, found: Rejected, read: int) -> None:
        """Takes the rejected edges of a piece.

        Raises:
            EdgesRejectedError: Most of a relation's edges are wrong; going on would only fill the disk.
        """
        if not len(found):
            return
        reasons = [REASONS[number] for number in found.reason.tolist()]
        self.counts.setdefault(relation, Counter()).update(reasons)
        with self._path.open("ab") as file:
            for place, reason in enumerate(reasons):
                line = {
                    "relation": relation,
                    "row": int(found.row[place]),
                    "source": _plain(found.source[place]),
                    "target": _plain(found.target[place]),
                    "weight": None if found.weight is None else str(found.weight[place]),
                    "time": None if found.time is None else int(found.time[place]),
                    "reason": reason,
                }
                self._first.setdefault(relation, line)
                file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if (
            read >= _HOPELESS_EDGES
            and self._mistakes(relation) > max(_HOPELESS_SHARE, self._max_share) * read
        ):
            self._stop(relation, read)

    def finish(self, relation: str, read: int) -> None:
        """Compares the share of rejected edges of a relation with the limit once all of them were read.

        Raises:
            EdgesRejectedError: It is larger.
        """
        if relation in self.counts and self._mistakes(relation) > self._max_share * read:
            self._stop(relation, read)

    def file(self) -> str | None:
        """Name of the report inside the graph folder; None where nothing was rejected."""
        return FILE if self._path.exists() else None

    def carry_over(self, report: Path) -> None:
        """Puts an older report in front: the edges that were rejected before, in a graph that only grows."""
        if report.exists():
            with self._path.open("ab") as file, report.open("rb") as old:
                shutil.copyfileobj(old, file)

    def _mistakes(self, relation: str) -> int:
        return self.counts[relation].total() - self.counts[relation][STRANGER]

    def _stop(self, relation: str, read: int) -> None:
        reasons = self.counts[relation]
        kept = self._final.with_name(f"{self._final.name}-{FILE}")
        with self._path.open("rb") as report:
            write_atomic(kept, lambda file: shutil.copyfileobj(report, file))
        first = self._first[relation]
        what = ", ".join(f"{count:,} x {reason}" for reason, count in reasons.most_common(3))
        raise EdgesRejectedError(
            f"relation {relation!r}: {reasons.total():,} of {read:,} edges were rejected "
            f"({reasons.total() / read:.1%}, more than max_rejected_share = {self._max_share:.1%}).\n"
            f"  Most common: {what}.\n"
            f"  The first: row {first['row']}, {first['source']!r} -> {first['target']!r}, weight "
            f"{first['weight']}: {first['reason']}.\n"
            f"  All of them: {kept}\n"
            "  Fix: correct the edges, or raise max_rejected_share. No graph was written."
        )


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
