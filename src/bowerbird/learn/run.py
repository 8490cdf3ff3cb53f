"""One run: where it computes, its seed, its folder, and how it tells what happens.

Threads: torch uses every core by default. On a machine shared with other work set ``threads`` to the cores
that are really free and ``OMP_WAIT_POLICY=PASSIVE`` in the environment: a spinning OpenMP barrier that waits
for a descheduled thread made a 3 ms call take 80 to 460 ms on a busy two-core machine, against 9 ms with
passive waiting.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bowerbird.learn.processes import World, current
from bowerbird.learn.progress import ProgressBar
from bowerbird.learn.randomness import derived, seed_everything
from bowerbird.tables.errors import ConfigError


class Run:
    """The circumstances of a fit or an evaluation.

    Args:
        folder: where checkpoints and ``metrics.jsonl`` go; ``None`` writes nothing.
        seed: seeds weights, order, negatives, dropout; >= 0.
        device: ``"auto"`` (CUDA if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        quiet: no progress bar and no messages.
        resume: continue from the newest checkpoint in ``folder`` if there is one. ``False`` starts over and
            discards checkpoints of the same folder.
        threads: torch CPU threads of this process; torch's own choice when left out.

    Attributes:
        world: this process's rank and how many there are.
        device: the ``torch.device``.

    Raises:
        ConfigError: for an unknown device, a negative seed, or ``resume`` without a folder.
    """

    def __init__(
        self, folder: Path | str | None = None, *, seed: int = 0, device: str = "auto", quiet: bool = False,
        resume: bool = False, threads: int | None = None,
    ) -> None:  # fmt: skip
        if seed < 0:
            raise ConfigError(f"the seed must be 0 or more, got {seed}")
        if resume and folder is None:
            raise ConfigError("resume needs the folder of the run to continue")
        if threads is not None and threads < 1:
            raise ConfigError(f"threads must be at least 1, got {threads}")
        if threads is not None:
            torch.set_num_threads(threads)
        self.folder = None if folder is None else Path(folder)
        self.seed = seed
        self.quiet = quiet
        self.resume = resume
        self.world: World = current()
        self.device = _device(device, self.world)

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks (rank 0)."""
        return self.world.rank == 0

    def seed_everything(self) -> None:
        """Seed the global generators alike on every process: call it before building a model.

        :func:`bowerbird.learn.train.train` gives each process streams of its own afterwards.
        """
        seed_everything(self.seed)

    def numpy(self, *keys: int) -> np.random.Generator:
        """A numpy generator that depends only on the seed and ``keys``."""
        return derived(self.seed, *keys)

    def say(self, text: str) -> None:
        """A line for the person watching, on stderr, from the first process of a run that is not quiet."""
        if self.is_first and not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def record(self, values: Mapping[str, Any]) -> None:
        """Append one line to ``metrics.jsonl``; numbers that are not finite are written as null."""
        if self.folder is None or not self.is_first:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({key: _plain(value) for key, value in values.items()}, allow_nan=False)
        with self.metrics_file().open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def forget(self, stage: str, after_step: int) -> None:
        """Drop the records of a stage beyond a step, so that a resumed stage does not say things twice."""
        if self.folder is None or not self.is_first or not self.metrics_file().exists():
            return
        kept = [
            r
            for r in read_metrics(self.metrics_file())
            if r.get("stage") != stage or r.get("step", 0) <= after_step
        ]
        staged = self.metrics_file().with_suffix(".new")
        staged.write_text("".join(json.dumps(r) + "\n" for r in kept), encoding="utf-8")
        staged.replace(self.metrics_file())

    def metrics_file(self) -> Path:
        """Path of the metrics file.

        Raises:
            ConfigError: if the run has no folder.
        """
        if self.folder is None:
            raise ConfigError("this run has no folder, so it has no metrics file")
        return self.folder / "metrics.jsonl"

    def progress(self, total: int, description: str) -> ProgressBar:
        """A progress bar over ``total`` steps; quiet runs and processes after the first show none."""
        return ProgressBar(total, description, shown=self.is_first and not self.quiet)


def read_metrics(path: Path | str) -> list[dict[str, Any]]:
    """The records of a ``metrics.jsonl``; a last line cut short by a killed process is left out."""
    records = []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value


def _device(name: str, world: World) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown; choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not supported; choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError(f"device {name!r} was asked for, but this torch sees no CUDA device")
        if device.index is None:
            device = torch.device("cuda", world.local_rank % torch.cuda.device_count())
        if device.index >= torch.cuda.device_count():
            raise ConfigError(f"device {name!r} does not exist; this machine has {torch.cuda.device_count()}")
    return device
