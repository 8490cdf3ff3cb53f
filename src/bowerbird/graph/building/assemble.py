"""Puts a graph folder together: every relation built, files described, all of it renamed into place at once."""

from __future__ import annotations

import dataclasses
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from bowerbird.graph.building.nodes import NodeType, write_nodes
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.pruning.apply import Side
from bowerbird.graph.building.relation import Places, RelationBuilder
from bowerbird.graph.building.report import BuildReport, RelationReport, peak_memory
from bowerbird.graph.building.sorting import Run
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store.arrays import ArrayFile, describe_array
from bowerbird.graph.store.manifest import MANIFEST, BaseEntry, GraphManifest, RelationEntry
from bowerbird.tables.atomic import TEMPORARY, WriterLock, replace_directory
from bowerbird.tables.errors import StoreError


@dataclass(frozen=True)
class Options:
    """How a graph is built; see `from_edges` for what each one means."""

    pruning: Pruning | None = None
    seed: int = 0
    memory: int = 1 << 30
    max_rejected_share: float = 0.01
    growable: bool = True

    def __post_init__(self) -> None:
        if self.memory < 1 << 10:
            raise GraphError(f"memory must be at least 1024 bytes, not {self.memory}")
        if not 0 <= self.max_rejected_share <= 1:
            raise GraphError(f"max_rejected_share must be from 0 to 1, not {self.max_rejected_share}")


@dataclass(frozen=True)
class Shape:
    """Name, ends and direction of a relation."""

    name: str
    source: str
    target: str
    reverse: str

    @property
    def symmetric(self) -> bool:
        """Whether it is its own reverse."""
        return self.name == self.reverse


@dataclass
class Stream:
    """Merged edges on their way into a relation; the counts are complete once the runs are exhausted.

    Attributes:
        runs: Merged edges, keys ascending.
        read: Edges that were given.
        rejected: Rejected ones, by reason.
        spilled: Bytes spilled while sorting them.
    """

    runs: Iterator[Run]
    read: int = 0
    rejected: dict[str, int] = dataclasses.field(default_factory=dict)
    spilled: int = 0


Open = Callable[[Shape, Path], Stream]
"""Opens the stream of a relation, given a folder for scratch files."""


def check_shapes(shapes: Sequence[Shape]) -> None:
    """Raises GraphError where two directed relations have one name, or there is none at all."""
    if not shapes:
        raise GraphError("a graph needs at least one relation.\n  Fix: give an EdgeList")
    taken: set[str] = set()
    for shape in shapes:
        for name in dict.fromkeys((shape.name, shape.reverse)):
            if name in taken:
                raise GraphError(
                    f"two relations are called {name!r}.\n  Fix: give one of them another name, or another reverse"
                )
            taken.add(name)


@contextmanager
def writing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yields an unfinished folder beside `path` and renames it there when the block ends well.

    Raises:
        GraphError: Something is at `path` already, or another process is writing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if path.exists():
            if not (path / MANIFEST).exists() and (path.is_file() or any(path.iterdir())):
                raise GraphError(f"{path} is there already and is not a graph.\n  Fix: choose another folder")
            if not overwrite and (path / MANIFEST).exists():
                raise GraphError(f"{path} is a graph already.\n  Fix: pass overwrite=True to replace it")
        temporary = path.with_name(f"{TEMPORARY}graph-{path.name}")
        shutil.rmtree(
            temporary, ignore_errors=True
        )  # of a build that was killed: the lock says nobody uses it
        temporary.mkdir()
        try:
            yield temporary
            replace_directory(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time writes the graph at `path`.

    Raises:
        GraphError: Another one does.
    """
    try:
        lock = WriterLock(path.with_name(f".lock-{path.name}"))
    except StoreError as error:
        raise GraphError(f"another process is writing the graph {path}; wait for it to finish") from error
    with lock:
        # A process that was killed between moving the old graph aside and putting the new one in place left the old
        # one under a temporary name.
        for aside in path.parent.glob(f"{TEMPORARY}*-old-{path.name}"):
            if path.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(path)
        yield


def assemble(
    folder: Path,
    shapes: Sequence[Shape],
    open_stream: Open,
    nodes: Mapping[str, NodeType],
    options: Options,
    *,
    data: dict[str, Any],
    rejected_file: Callable[[], str | None],
    started: float,
    earlier: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> None:
    """Builds every relation inside an unfinished graph folder and writes its manifest and report.

    Args:
        folder: The unfinished folder.
        shapes: The relations.
        open_stream: Where the edges of each come from.
        nodes: Node types.
        options: How to build.
        data: What the edges came from.
        rejected_file: Names the report of rejected edges, once all were read.
        started: `time.perf_counter()` when the build began.
        earlier: Edges that were rejected in earlier rounds, by relation, by reason.
    """
    keys = {name: node.keys() if options.pruning else np.empty(0, np.uint64) for name, node in nodes.items()}
    relations: dict[str, RelationEntry] = {}
    base: dict[str, BaseEntry] = {}
    reports: dict[str, RelationReport] = {}
    for number, shape in enumerate(shapes):
        begun = time.perf_counter()
        stem = f"{number:02d}-{re.sub(r'[^A-Za-z0-9]+', '-', shape.name)[:40]}"
        scratch = folder / "scratch" / stem
        places = Places(
            folder / "base" / stem,
            folder / "relations" / stem,
            folder / "relations" / f"{stem}-reverse",
            scratch,
        )
        builder = RelationBuilder(
            Side(shape.name, nodes[shape.source].count, keys[shape.source]),
            Side(shape.reverse, nodes[shape.target].count, keys[shape.target]),
            places,
            memory=options.memory,
            pruning=options.pruning,
            seed=options.seed,
        )
        stream = open_stream(shape, scratch / "edges")
        stored = builder.build(stream.runs)
        distinct = stored.pop("")
        if options.growable:
            base[shape.name] = BaseEntry(distinct, shape.symmetric, _described(folder, places.base))
        else:
            shutil.rmtree(places.base)
        forward = (shape.name, shape.source, shape.target, shape.reverse, places.forward)
        backward = (shape.reverse, shape.target, shape.source, shape.name, places.reverse)
        for name, source, target, reverse, place in (forward, backward)[: 1 if shape.symmetric else 2]:
            relations[name] = RelationEntry(
                name, source, target, reverse, shape.name, stored[name], _described(folder, place)
            )
        reports[shape.name] = RelationReport(
            stream.read,
            stream.rejected,
            distinct,
            stored,
            round(time.perf_counter() - begun, 3),
            stream.spilled + builder.spilled,
        )
    shutil.rmtree(folder / "scratch", ignore_errors=True)
    if not options.growable:
        shutil.rmtree(folder / "base")
    GraphManifest(
        nodes=write_nodes(nodes, folder),
        relations=relations,
        base=base,
        pruning=dataclasses.asdict(options.pruning) if options.pruning else None,
        seed=options.seed,
        data=data,
        rejected=summed([earlier, *({name: report.rejected} for name, report in reports.items())]),
        rejected_file=rejected_file(),
    ).write(folder)
    BuildReport(reports, round(time.perf_counter() - started, 3), peak_memory()).write(folder)


def summed(parts: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Counts by relation, by reason, added up; relations without any are left out."""
    found: dict[str, Counter[str]] = {}
    for part in parts:
        for relation, reasons in part.items():
            if reasons:
                found.setdefault(relation, Counter()).update(reasons)
    return {relation: dict(reasons) for relation, reasons in found.items()}


def _described(folder: Path, place: Path) -> dict[str, ArrayFile]:
    return {
        file.stem: describe_array(folder, file.relative_to(folder).as_posix())
        for file in sorted(place.glob("*.npy"))
    }
