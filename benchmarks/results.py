"""Result files: JSON with the settings, seeds, commit and data hash that made them, under ``docs/results``."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from pathlib import Path
from typing import Any

import orjson

from bowerbird import __version__
from bowerbird.tables.store import Store

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "results"


def commit() -> str:
    """The commit of the checkout, with ``+`` when files differ from it."""
    here = FOLDER.parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=here, capture_output=True, text=True, check=False
        ).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + (
        "+" if git("status", "--porcelain", "--", "src", "benchmarks") else ""
    )


def write(name: str, store: Store | None, *, config: Any = None, **content: Any) -> Path:
    """Write ``docs/results/<name>.json`` and return its path."""
    import torch

    FOLDER.mkdir(parents=True, exist_ok=True)
    record = {
        "name": name,
        "version": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "data": None if store is None else {
            "dataset": store.manifest.dataset, "content_hash": store.manifest.content_hash,
            "counts": store.manifest.counts,
        },
        "config": dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config,
        **content,
    }  # fmt: skip
    path = FOLDER / f"{name}.json"
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    path.write_bytes(orjson.dumps(record, option=options, default=str) + b"\n")
    return path
