"""The RecTools side of ``throughput.py``; run by the Python of an environment that has ``rectools[torch]``.

Reads one JSON request per line on standard input and answers each with one JSON line on standard output. Bowerbird is
not imported here, and nothing but RecTools' public ``SASRecModel`` is trained.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from importlib.metadata import version
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools.dataset import Dataset
from rectools.models import SASRecModel


class Clock(Callback):
    """Counts loss positions and seconds from the end of batch ``warm`` to the end of the last batch."""

    def __init__(self, warm: int) -> None:
        self.warm = warm
        self.examples = self.users = self.slots = self.batches = 0
        self.started = self.ended = (0.0, 0.0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: dict[str, torch.Tensor], batch_idx: int
    ) -> None:
        """Lightning calls this after the optimiser's step."""
        self.ended = (time.perf_counter(), time.process_time())
        if batch_idx < self.warm:
            self.started = self.ended
            return
        self.examples += int((batch["y"] != 0).sum())
        self.users += int((batch["x"] != 0).any(1).sum())
        self.slots += batch["x"].numel()
        self.batches += 1


def measure(dataset: Dataset, settings: dict[str, Any], arm: dict[str, Any]) -> dict[str, Any]:
    """Train a new model for ``arm["batches"]`` batches after the warm ones (0 = one whole epoch)."""
    torch.manual_seed(arm["seed"])
    clock = Clock(settings["warm"])
    limit = settings["warm"] + arm["batches"] if arm["batches"] else 1.0

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=1, min_epochs=1, accelerator="cpu", devices=1, precision=arm["precision"],
            limit_train_batches=limit, callbacks=[clock], logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip

    model = SASRecModel(
        n_blocks=settings["layers"], n_heads=settings["heads"], n_factors=settings["width"],
        dropout_rate=settings["dropout"], session_max_len=settings["length"], batch_size=settings["users"],
        loss=arm["loss"], n_negatives=settings["negatives"], lr=settings["learning_rate"], epochs=1,
        get_trainer_func=trainer,
    )  # fmt: skip
    model.fit(dataset)
    clock = next(c for c in model.fit_trainer.callbacks if isinstance(c, Clock))  # the trainer was copied
    return {
        "examples": clock.examples,
        "users": clock.users,
        "slots": clock.slots,
        "batches": clock.batches,
        "seconds": clock.ended[0] - clock.started[0],
        "cpu_seconds": clock.ended[1] - clock.started[1],
        "parameters": sum(p.numel() for p in model.torch_model.parameters()),
    }


def answer() -> None:
    """Serve requests until standard input closes."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever the libraries print must not mix with the answers
    warnings.filterwarnings("ignore")
    settings = json.loads(sys.stdin.readline())
    torch.set_num_threads(settings["threads"])
    rows = pd.read_parquet(settings["sequences"])
    dataset = Dataset.construct(
        pd.DataFrame(
            {
                "user_id": rows["user"],
                "item_id": rows["item"],
                "datetime": pd.to_datetime(rows["time"], unit="ms"),
                "weight": 1.0,
            }
        )
    )
    names = ("rectools", "torch", "pytorch-lightning", "numpy", "pandas")
    hello = {"versions": {name: version(name) for name in names}, "threads": torch.get_num_threads()}
    print(json.dumps(hello), file=out)
    for line in sys.stdin:
        print(json.dumps(measure(dataset, settings, json.loads(line))), file=out)


if __name__ == "__main__":
    answer()
