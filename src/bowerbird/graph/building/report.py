"""What a build did: edges, rejected ones, speed, memory. Kept beside the manifest as `build.json`."""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bowerbird.graph.errors import GraphError

FILE = "build.json"


@dataclass(frozen=True)
class RelationReport:
    """One relation.

    Attributes:
        read: Edges that were given (of a merge: the new ones).
        rejected: Rejected ones among them, by reason.
        distinct: Distinct edges, unpruned (of a merge: old and new).
        stored: Stored edges by name of the directed relation.
        seconds: Wall time.
        spilled: Bytes that went through spill files; 0: everything fitted in memory.
    """

    read: int
    rejected: dict[str, int]
    distinct: int
    stored: dict[str, int]
    seconds: float
    spilled: int


@dataclass(frozen=True)
class BuildReport:
    """A whole build.

    Attributes:
        relations: By name of the relation that was given.
        seconds: Wall time, checksums and flushing included.
        peak_memory: Largest resident memory of this process so far, bytes.
    """

    relations: dict[str, RelationReport] = field(default_factory=dict)
    seconds: float = 0.0
    peak_memory: int = 0

    @property
    def read(self) -> int:
        """Edges that were given."""
        return sum(each.read for each in self.relations.values())

    @property
    def rejected(self) -> int:
        """Edges that were rejected."""
        return sum(sum(each.rejected.values()) for each in self.relations.values())

    @property
    def edges_per_second(self) -> float:
        """Given edges by wall time of the whole build."""
        return self.read / self.seconds if self.seconds else 0.0

    def write(self, folder: Path) -> None:
        """Writes `build.json`."""
        (folder / FILE).write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read_from(cls, folder: Path) -> BuildReport:
        """Reads the report kept in a graph folder.

        Raises:
            GraphError: There is none, or it cannot be read.
        """
        try:
            content = json.loads((folder / FILE).read_bytes())
            relations = {name: RelationReport(**entry) for name, entry in content.pop("relations").items()}
            return cls(relations, **content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GraphError(f"{folder} has no readable report of its build ({error})") from error


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024
