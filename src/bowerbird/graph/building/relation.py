"""One relation, from merged edges to both of its directions on disk: turned round, pruned, written.

The road of a relation: sorted edges -> base (every distinct edge once, unpruned, kept for deltas) -> the two unpruned
directions (a symmetric relation has one) -> the two final ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.input.checks import node_bits
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.pruning.apply import Choice, Side, choice, find_bars
from bowerbird.graph.building.sorting import CSRFiles, CSRWriter, EdgeSorter, Run
from bowerbird.graph.building.sorting.csr import BLOCK, Block
from bowerbird.graph.building.sorting.runs import UNIT, pack
from bowerbird.graph.store.arrays import ArrayWriter, write_array
from bowerbird.graph.store.relation import UNDATED


@dataclass(frozen=True)
class Places:
    """Folders of one relation: the kept base, its two directions (symmetric: only the first), scratch space."""

    base: Path
    forward: Path
    reverse: Path
    scratch: Path


class RelationBuilder:
    """Builds one relation.

    Args:
        source, target: Who owns the rows of the relation and of its reverse; one and the same where symmetric.
        places: Where the files go.
        memory: Bytes that sorting may take.
        pruning: How hubs are thinned, or None.
        seed: Seed of the pruning.
    """

    def __init__(
        self,
        source: Side,
        target: Side,
        places: Places,
        *,
        memory: int,
        pruning: Pruning | None,
        seed: int,
    ) -> None:
        self._source, self._target, self._places = source, target, places
        self._memory, self._pruning, self._seed = memory, pruning, seed
        self._block = max(min(BLOCK, memory // 128), 1 << 10)
        self.spilled = 0
        """Bytes that went through spill files."""

    def build(self, runs: Iterable[Run]) -> dict[str, int]:
        """Writes base and directions.

        Args:
            runs: Merged edges, keys ascending, packed with the bits of the target type.

        Returns:
            Number of stored edges by name of the directed relation, and of distinct edges under `""`.
        """
        source, target, places = self._source, self._target, self._places
        n_source, n_target = source.count, target.count
        base = CSRWriter(places.base, n_source, n_target, node_bits(n_target)).write(runs)
        if source.relation == target.relation:
            edges = self._resorted(base, n_source, both_ways=True)
            kept = {source.relation: self._prune([(edges, source, places.forward)])[0]}
        else:
            turned = self._resorted(base, n_target, both_ways=False)
            counts = self._prune([(base, source, places.forward), (turned, target, places.reverse)])
            kept = {source.relation: counts[0], target.relation: counts[1]}
        shutil.rmtree(places.scratch, ignore_errors=True)
        return {"": base.n_edges, **kept}

    def _resorted(self, base: CSRFiles, n_rows: int, *, both_ways: bool) -> CSRFiles:
        """The edges turned round, or both ways at once, as another CSR in the scratch folder."""
        n_columns = base.n_rows
        bits = node_bits(n_columns)
        sorter = EdgeSorter(self._places.scratch / "spill", bits + node_bits(n_rows), memory=self._memory)
        for part in base.blocks(self._block):
            for run in _turned(part, bits, both_ways):
                sorter.add(run)
        writer = CSRWriter(self._places.scratch / "turned", n_rows, n_columns, bits)
        turned = writer.write(sorter.sorted())
        self.spilled += sorter.spilled
        return turned

    def _prune(self, directions: list[tuple[CSRFiles, Side, Path]]) -> list[int]:
        """Writes the final arrays of one or both directions; returns how many edges each keeps."""
        choices: list[Choice | None] = [None] * len(directions)
        if self._pruning is not None:
            sides = [side for _, side, _ in directions]
            bars = [
                find_bars(edges, side, other, self._pruning, self._seed, self._block)
                for (edges, side, _), other in zip(directions, sides[::-1], strict=True)
            ]
            choices = [
                choice(side, other, own, others, self._pruning)
                for side, other, own, others in zip(sides, sides[::-1], bars, bars[::-1], strict=True)
            ]
        return [
            write_direction(edges, folder, chosen, self._block)
            for (edges, _, folder), chosen in zip(directions, choices, strict=True)
        ]


def _turned(part: Block, bits: int, both_ways: bool) -> Iterator[Run]:
    row, column = part.rows, part.indices
    yield Run(pack(column, row, bits), part.total, part.time)
    if both_ways:
        yield Run(pack(row, column, bits), part.total, part.time)


def write_direction(edges: CSRFiles, folder: Path, chosen: Choice | None, block: int = BLOCK) -> int:
    """Writes the arrays that a `Relation` maps.

    Args:
        edges: Unpruned edges.
        folder: New folder: `indptr.npy`, `indices.npy`, and `weight.npy` and `time.npy` where they say something.
        chosen: Which edges stay, or None for all.
        block: Edges that are held at once.

    Returns:
        How many edges stay.
    """
    folder.mkdir(parents=True)
    if chosen is None:
        for name in ("indptr", "indices", *(["time"] if edges.dated else [])):
            _same_file(edges.folder / f"{name}.npy", folder / f"{name}.npy")
        if edges.weighted:
            with ArrayWriter(folder / "weight.npy", np.float32) as weight:
                for part in edges.blocks(block):
                    weight.append(_weights(part))
        return edges.n_edges
    degree = np.zeros(edges.n_rows + 1, np.int64)
    all_one, undated = True, True
    with (
        ArrayWriter(folder / "indices.npy", edges.index_type) as indices,
        ArrayWriter(folder / "weight.npy", np.float32) as weight,
        ArrayWriter(folder / "time.npy", np.int64) as time,
    ):
        for part in edges.blocks(block):
            keep = chosen(part)
            before = np.concatenate([[0], np.cumsum(keep)])
            degree[part.low + 1 : part.high + 1] = np.diff(before[part.indptr])
            indices.append(part.indices[keep])
            if edges.weighted:
                weights = _weights(part)[keep]
                all_one = all_one and bool((weights == 1).all())
                weight.append(weights)
            if part.time is not None:
                undated = undated and bool((part.time[keep] == UNDATED).all())
                time.append(part.time[keep])
    write_array(folder / "indptr.npy", np.cumsum(degree))
    for name, empty in (("weight", all_one), ("time", undated)):
        if empty:
            (folder / f"{name}.npy").unlink()
    return int(degree.sum())


def _weights(part: Block) -> NDArray[np.float32]:
    """float32 (E,): the totals of a block as weights."""
    assert part.total is not None
    scale = 1 if part.total.dtype == np.uint32 else UNIT
    return (part.total / np.float64(scale)).astype(np.float32)


def _same_file(old: Path, new: Path) -> None:
    """One file under two names where the file system can do that, else a copy. Neither is ever written to again."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
