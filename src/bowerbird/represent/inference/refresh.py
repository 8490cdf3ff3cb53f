"""Batch inference that streams, resumes, and re-embeds only what changed (A.5).

A folder holds one type's vectors in parts of fixed size, each written whole or not at all: ids (raw keys), digests,
vectors. A run that was stopped goes on with the parts that are missing. Given the folder of an earlier run of the same
model, nodes whose digest is unchanged take their old vector; only the others are embedded.

Shapes: N nodes, B nodes of a part, D dimension.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from bowerbird.represent.inference.digests import Digests
from bowerbird.represent.inference.opened import UNSEEN, OpenOmniSage
from bowerbird.tables.atomic import replacing, write_atomic
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store.keys import stable_keys

PART = 65_536
"""Nodes of a part."""

MANIFEST = "manifest.json"
_OF_MODEL = ("model", "node_type", "dim")
"""What vectors must share to stand in one index."""


class EmbeddingError(BowerbirdError):
    """A folder of vectors belongs to something else, or is not finished."""


@dataclass(frozen=True)
class Refreshed:
    """What a run did: nodes in all, embedded anew, copied from an earlier run, and found done in the folder."""

    nodes: int
    embedded: int
    copied: int
    resumed: int

    @property
    def share(self) -> float:
        """Share of the nodes embedded anew."""
        return self.embedded / max(self.nodes, 1)


def embed_into(
    folder: Path | str, opened: OpenOmniSage, node_type: str, *, previous: Path | str | None = None, part: int = PART,
    on_progress: Callable[[int, int], None] | None = None,
) -> Refreshed:  # fmt: skip
    """Embed every node of a type into a folder.

    Args:
        folder: where; an unfinished run of the same model and view goes on.
        opened: the model in its world. node_type: ``"item"`` or ``"collection"``.
        previous: the finished folder of an earlier run of the same model, perhaps of an earlier view.
        part: nodes per file.
        on_progress: told nodes done and nodes in all after every part.

    Returns:
        Counts.

    Raises:
        EmbeddingError: the folder holds a run of another model, view or part size, or ``previous`` is of another model.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    count = opened.world.contents[node_type].count
    head = _wanted(opened, node_type, part)
    _begin(target, head)
    old = None if previous is None else _Previous(Path(previous), head)
    digests, keys = Digests(opened.world), stable_keys(opened.world.raw_ids[node_type])
    embedded = copied = resumed = 0
    for number, low in enumerate(range(0, count, part)):
        ids = np.arange(low, min(low + part, count))
        file = target / _name(number)
        if file.exists():
            resumed += len(ids)
        else:
            digest = digests.of(node_type, ids)
            vectors = np.zeros((len(ids), opened.config.dim), np.float32)
            fresh = np.ones(len(ids), dtype=bool)
            if old is not None:
                fresh = ~old.copy_into(vectors, keys[ids], digest)
            vectors[fresh] = opened.vectors(node_type, ids[fresh])
            with replacing(file) as temporary:
                save_file({"keys": keys[ids], "digests": digest, "vectors": vectors}, temporary)
            embedded, copied = embedded + int(fresh.sum()), copied + int((~fresh).sum())
        if on_progress:
            on_progress(int(ids[-1]) + 1, count)
    done = Refreshed(count, embedded, copied, resumed)
    write_atomic(target / MANIFEST, json.dumps(head | {"finished": asdict(done)}).encode())
    return done


def embed_kept(
    folder: Path | str, opened: OpenOmniSage, node_type: str, *, part: int = PART,
    on_progress: Callable[[int, int], None] | None = None,
) -> Refreshed:  # fmt: skip
    """Bring the vectors kept in ``folder/<node type>`` up to a view: nodes that did not change keep theirs.

    The new ones are written beside the old ones and take their place when they are complete, so a stopped call leaves
    the old ones as they were and goes on when called again. Vectors of another model are replaced by a full pass.

    Args:
        folder: kept between calls. opened, node_type, part, on_progress: as in :func:`embed_into`.
    """
    current, coming = Path(folder) / node_type, Path(folder) / f"{node_type}.next"
    head = _wanted(opened, node_type, part)
    if coming.exists() and not ((coming / MANIFEST).exists() and _matches(_head(coming), head)):
        shutil.rmtree(coming)
    usable = (current / MANIFEST).exists() and "finished" in _head(current)
    usable = usable and all(_head(current)[name] == head[name] for name in _OF_MODEL)
    done = embed_into(
        coming, opened, node_type, previous=current if usable else None, part=part, on_progress=on_progress
    )
    if current.exists():
        shutil.rmtree(current)
    coming.rename(current)
    return done


def read_vectors(folder: Path | str) -> np.ndarray:
    """The vectors of a finished run in dense order, float32 (N, D).

    Raises:
        EmbeddingError: the run is not finished.
    """
    source = Path(folder)
    head = _head(source)
    if "finished" not in head:
        raise EmbeddingError(
            f"{source} is not finished.\n  Fix: run embed_into again, it goes on where it stopped"
        )
    parts = -(-head["nodes"] // head["part"])
    found = [load_file(source / _name(number))["vectors"] for number in range(parts)]
    return np.concatenate(found) if found else np.zeros((0, head["dim"]), np.float32)


def model_version(opened: OpenOmniSage) -> str:
    """A hash of everything trained: vectors of equal versions may stand in one index."""
    whole = hashlib.sha256(repr(opened.config).encode())
    for name, tensor in sorted(opened.model.state_dict().items()):
        if name.endswith(UNSEEN):  # which items are new is data, and part of their digests
            continue
        whole.update(name.encode())
        # identity rows added for a grown store are zeros and no part of the model
        rows = tensor[: opened.trained_items] if name.endswith("identity.identity.weight") else tensor
        whole.update(rows.contiguous().numpy().tobytes())
    return whole.hexdigest()


def _wanted(opened: OpenOmniSage, node_type: str, part: int) -> dict[str, Any]:
    """What the manifest of a run says before it is finished."""
    return {
        "model": model_version(opened), "node_type": node_type, "nodes": opened.world.contents[node_type].count,
        "part": part, "dim": opened.config.dim, "view": opened.world.view.fingerprint,
    }  # fmt: skip


def _matches(earlier: dict[str, Any], head: dict[str, Any]) -> bool:
    return all(earlier.get(name) == json.loads(json.dumps(wanted)) for name, wanted in head.items())


class _Previous:
    """The vectors of an earlier run by raw key."""

    def __init__(self, folder: Path, head: dict[str, Any]) -> None:
        earlier = _head(folder)
        for name in _OF_MODEL:
            if earlier[name] != head[name]:
                raise EmbeddingError(
                    f"{folder} holds vectors of another {name} ({earlier[name]}).\n  Fix: leave `previous` out; a new "
                    "model needs a full pass"
                )
        read_vectors(folder)  # says so if it is not finished
        parts = [load_file(folder / _name(n)) for n in range(-(-earlier["nodes"] // earlier["part"]))]
        self._keys, self._digests, self._vectors = (
            np.concatenate([found[name] for found in parts]) if parts else np.zeros(0)
            for name in ("keys", "digests", "vectors")
        )
        self._order = np.argsort(self._keys, kind="stable")

    def copy_into(self, vectors: np.ndarray, keys: np.ndarray, digests: np.ndarray) -> np.ndarray:
        """Fill in the vectors of unchanged nodes; returns bool (B,), which they are."""
        if not len(self._keys):
            return np.zeros(len(keys), dtype=bool)
        place = np.minimum(np.searchsorted(self._keys, keys, sorter=self._order), len(self._keys) - 1)
        row = self._order[place]
        same: np.ndarray = (self._keys[row] == keys) & (self._digests[row] == digests)
        vectors[same] = self._vectors[row[same]]
        return same


def _begin(folder: Path, head: dict[str, Any]) -> None:
    if not (folder / MANIFEST).exists():
        if any(folder.iterdir()):
            raise EmbeddingError(f"{folder} is not empty and holds no vectors.\n  Fix: choose another folder")
        write_atomic(folder / MANIFEST, json.dumps(head).encode())
        return
    earlier = _head(folder)
    for name, wanted in head.items():
        if earlier.get(name) != json.loads(json.dumps(wanted)):
            raise EmbeddingError(
                f"{folder} belongs to another run: its {name} differs.\n  Fix: choose another folder, or delete it"
            )


def _head(folder: Path) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        return head
    except (OSError, json.JSONDecodeError) as error:
        raise EmbeddingError(f"{folder} holds no vectors of nodes ({error})") from error


def _name(number: int) -> str:
    return f"part-{number:06d}.safetensors"
