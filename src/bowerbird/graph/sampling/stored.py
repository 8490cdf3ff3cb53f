"""Neighbourhoods of all nodes of a type, computed once: a folder of memory-mapped arrays that opens in an instant.

One array of ids and one of scores a slot, and `manifest.json`: which graph (checksums of the relations that were
walked), which sampler, how far it got. What is written there after a chunk is on the disk before the manifest says so,
so a killed run goes on where it was.

Shape letters: N nodes of the type, B nodes asked for, k length of one slot.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.graph.errors import GraphError
from bowerbird.graph.sampling.sampler import Sampler
from bowerbird.graph.sampling.shapes import PADDING, Neighbourhoods, Slot
from bowerbird.graph.store import Graph
from bowerbird.graph.store.arrays import checksum
from bowerbird.tables.atomic import WriterLock, write_atomic
from bowerbird.tables.errors import StoreError, did_you_mean

MANIFEST = "manifest.json"
FORMAT = "bowerbird-neighbourhoods"
VERSION = 1


def precompute(
    sampler: Sampler,
    node_type: str,
    path: str | Path,
    *,
    chunk: int = 8192,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> StoredNeighbourhoods:
    """Samples every node of a type into a folder, which gives the same answers as the sampler.

    Args:
        sampler: The sampler.
        node_type: Type of the nodes.
        path: Folder. If it holds an unfinished run of the same sampler over the same graph, that is continued; a
            finished one is opened.
        chunk: Nodes sampled and written at a time.
        progress: Called with (nodes done, nodes in all) after each chunk.
        overwrite: Replace what another sampler or graph left in the folder.

    Returns:
        The neighbourhoods, opened.

    Raises:
        GraphError: The folder holds something else, or another process is writing it.
    """
    if chunk < 1:
        raise GraphError(f"chunk must be at least 1 node, not {chunk}")
    if node_type not in sampler.graph.counts:
        known = did_you_mean(node_type, sampler.graph.counts)
        raise GraphError(f"no node type {node_type!r} in the graph; {known}")
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = WriterLock(folder / ".lock")
    except StoreError as error:
        raise GraphError(f"another process is writing the neighbourhoods in {folder}; wait for it") from error
    with lock:
        wanted = _manifest(sampler, node_type)
        found = _read(folder) if (folder / MANIFEST).exists() else None
        if found is not None and not _same(found, wanted) and not overwrite:
            raise GraphError(
                f"{folder} holds the neighbourhoods of another {_difference(found, wanted)}.\n"
                "  Fix: choose another folder, or pass overwrite=True"
            )
        done = int(found["done"]) if found is not None and _same(found, wanted) else 0
        if done == 0:
            _begin(folder, wanted)
        if found is None or not _same(found, wanted) or not found["files"]:
            _fill(folder, sampler, wanted, done, chunk, progress)
    return StoredNeighbourhoods.open(folder, sampler.graph)


class StoredNeighbourhoods:
    """Precomputed neighbourhoods; `take` gives what `Sampler.sample` would have given.

    Attributes:
        node_type: Type of the nodes whose neighbourhoods these are.
        slots: What is stored of each.
        settings: `Sampler.settings()` of the sampler.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.path, self._manifest = folder, manifest
        self.node_type: str = manifest["node_type"]
        self.slots = tuple(Slot(**slot) for slot in manifest["slots"])
        self.settings: dict[str, Any] = manifest["settings"]
        self._arrays = [_mapped(folder, number, "r") for number in range(len(self.slots))]
        for slot, (ids, scores) in zip(self.slots, self._arrays, strict=True):
            if ids.shape != (len(self), slot.k) or scores.shape != ids.shape:
                raise GraphError(
                    f"the neighbourhoods in {folder} are damaged: an array has shape {ids.shape}, the manifest says "
                    f"({len(self)}, {slot.k}).\n  Fix: precompute them again"
                )

    @classmethod
    def open(cls, path: str | Path, graph: Graph | None = None) -> StoredNeighbourhoods:
        """Opens finished neighbourhoods.

        Args:
            path: The folder.
            graph: If given, the graph that they must be of.

        Raises:
            GraphError: There are none, they are unfinished or damaged, or are of another graph.
        """
        folder = Path(path)
        manifest = _read(folder)
        if not manifest["files"]:
            raise GraphError(
                f"the neighbourhoods in {folder} are unfinished: {manifest['done']:,} of {manifest['count']:,} nodes.\n"
                "  Fix: run precompute again, it goes on from there"
            )
        for name, facts in manifest["files"].items():
            size = (folder / name).stat().st_size if (folder / name).is_file() else -1
            if size != facts["bytes"]:
                state = "missing" if size < 0 else f"{size:,} bytes long, not {facts['bytes']:,}"
                raise GraphError(f"{folder} is damaged: {name} is {state}.\n  Fix: precompute it again")
        if graph is not None and manifest["graph"] != _fingerprint(graph, manifest["graph"]["relations"]):
            raise GraphError(
                f"the neighbourhoods in {folder} are of another graph than {graph.path}.\n"
                "  Fix: precompute them again, or open them with the graph they were made from"
            )
        return cls(folder, manifest)

    def __len__(self) -> int:
        """Number of nodes N."""
        return int(self._manifest["count"])

    def take(self, ids: ArrayLike) -> Neighbourhoods:
        """The neighbourhoods of some nodes.

        Args:
            ids: int64 (B,) dense ids; they may repeat.

        Returns:
            One row a node, in their order; copies.

        Raises:
            GraphError: An id that no node has.
        """
        wanted = np.asarray(ids)
        if wanted.ndim != 1 or (len(wanted) and not np.issubdtype(wanted.dtype, np.integer)):
            raise GraphError(
                f"ids must be whole numbers in one dimension, not {wanted.dtype} of shape {wanted.shape}"
            )
        wanted = wanted.astype(np.int64)
        wrong = np.flatnonzero((wanted < 0) | (wanted >= len(self)))
        if len(wrong):
            raise GraphError(
                f"ids, position {wrong[0]}: no {self.node_type} has the dense id {wanted[wrong[0]]}; there are "
                f"{len(self):,}, numbered from 0"
            )
        return Neighbourhoods.of(
            self.slots,
            tuple(np.asarray(ids[wanted]).astype(np.int64) for ids, _ in self._arrays),
            tuple(np.array(scores[wanted]) for _, scores in self._arrays),
        )

    def verify(self) -> None:
        """Reads every file and compares it with the manifest.

        Raises:
            GraphError: A file differs from what was written.
        """
        for name, facts in self._manifest["files"].items():
            if checksum(self.path / name) != facts["checksum"]:
                raise GraphError(f"{self.path} is damaged: {name} has changed.\n  Fix: precompute it again")


def _fill(
    folder: Path,
    sampler: Sampler,
    manifest: dict[str, Any],
    done: int,
    chunk: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    count, node_type = int(manifest["count"]), str(manifest["node_type"])
    arrays = [_mapped(folder, number, "r+") for number in range(len(sampler.slots))]
    while done < count:
        end = min(done + chunk, count)
        found = sampler.sample(node_type, np.arange(done, end, dtype=np.int64))
        for (ids, scores), found_ids, found_scores in zip(arrays, found.ids, found.scores, strict=True):
            ids[done:end], scores[done:end] = found_ids, found_scores
            for array in (ids, scores):
                if isinstance(array, np.memmap):
                    array.flush()
        done = end
        _write(folder, {**manifest, "done": done})
        if progress is not None:
            progress(done, count)
    del arrays
    names = [_name(number, kind) for number in range(len(sampler.slots)) for kind in ("ids", "scores")]
    files = {
        name: {"bytes": (folder / name).stat().st_size, "checksum": checksum(folder / name)} for name in names
    }
    _write(folder, {**manifest, "done": done, "files": files})


def _begin(folder: Path, manifest: dict[str, Any]) -> None:
    """Empty arrays, then the manifest that says that nothing is in them."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for number, slot in enumerate(manifest["slots"]):
        shape = (int(manifest["count"]), int(slot["k"]))
        _create(folder / _name(number, "ids"), np.dtype(manifest["id_types"][number]), shape)
        _create(folder / _name(number, "scores"), np.dtype("<f4"), shape)
    _write(folder, manifest)


def _create(path: Path, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    """An array file of full length without contents; the file system keeps what is never written sparse."""
    with path.open("wb") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + dtype.itemsize * shape[0] * shape[1])


def _mapped(folder: Path, number: int, mode: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    found = []
    for kind in ("ids", "scores"):
        path = folder / _name(number, kind)
        try:
            with path.open("rb") as file:
                np.lib.format.read_magic(file)
                empty = 0 in np.lib.format.read_array_header_1_0(file)[0]
            # the system cannot map an empty range
            found.append(np.load(path, mmap_mode=None if empty else mode, allow_pickle=False))
        except (OSError, ValueError) as error:
            raise GraphError(f"{path} cannot be read ({error}).\n  Fix: precompute it again") from error
    return found[0], found[1]


def _name(number: int, kind: str) -> str:
    return f"slot-{number:02d}-{kind}.npy"


def _manifest(sampler: Sampler, node_type: str) -> dict[str, Any]:
    counts = sampler.graph.counts
    return {
        "format": FORMAT,
        "version": VERSION,
        "node_type": node_type,
        "count": counts[node_type],
        "slots": [dataclasses.asdict(slot) for slot in sampler.slots],
        "id_types": ["<i4" if counts[slot.node_type] < 1 << 31 else "<i8" for slot in sampler.slots],
        "padding": PADDING,
        "graph": _fingerprint(sampler.graph, sampler.relations),
        "settings": sampler.settings(),
        "done": 0,
        "files": {},
    }


def _fingerprint(graph: Graph, relations: Any) -> dict[str, Any]:
    """What neighbourhoods depend on in a graph: node counts and the content of the relations."""
    entries = graph.manifest.relations
    used = {name: entries[name] for name in relations if name in entries}
    types = sorted({end for entry in used.values() for end in (entry.source, entry.target)})
    return {
        "counts": {name: graph.counts[name] for name in types},
        "relations": {
            name: {array: file.checksum for array, file in entry.arrays.items() if array != "time"}
            for name, entry in used.items()
        },
    }


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(found.get(key) == wanted[key] for key in wanted if key not in ("done", "files"))


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    if found.get("graph") != wanted["graph"]:
        return "graph"
    if found.get("node_type") != wanted["node_type"]:
        return f"node type ({found.get('node_type')!r}, not {wanted['node_type']!r})"
    return "sampler (its settings or slots differ)"


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    write_atomic(folder / MANIFEST, json.dumps(manifest, indent=1).encode() + b"\n")


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise GraphError(
            f"{folder} holds no neighbourhoods: it has no {MANIFEST}.\n  Fix: precompute them there"
        ) from error
    except ValueError as error:
        raise GraphError(f"{path} cannot be read ({error}).\n  Fix: precompute it again elsewhere") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("version") != VERSION:
        raise GraphError(
            f"{path} is not the manifest of neighbourhoods of layout {VERSION}.\n  Fix: precompute them elsewhere"
        )
    return found
