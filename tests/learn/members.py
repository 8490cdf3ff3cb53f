"""What the processes of ``test_processes`` run: module-level, so that fresh processes can import it.

Legend: B rows of a process, G rows of all.
"""

from __future__ import annotations

import os

import torch

from bowerbird.learn.processes import broadcast_json, current, gather_with_gradient, own_rows
from bowerbird.learn.run import Run
from bowerbird.learn.train import ShuffledRows, StepOutput, TrainConfig, train

from .toy import train_towers


def everything(folder: str) -> dict:
    """All checks that need a group, in one start of it."""
    world = current()
    weights, result = train_towers(os.path.join(folder, "towers"), steps=10)  # noqa: PTH118
    accumulated, _ = train_towers(None, steps=5, accumulate=2)
    return {
        "rank": world.rank,
        "weights": weights,
        "accumulated": accumulated,
        "result": result.to_dict(),
        "gather": gather(world.rank),
        "said": broadcast_json({"from": world.rank, "none": None}),
        "validated": validated(os.path.join(folder, "validated")),  # noqa: PTH118
        "uneven": uneven(),
        "threads": torch.get_num_threads(),
    }


def gather(rank: int) -> dict:
    """Rank 0 has two rows, rank 1 has three; each weighs the gathered rows differently."""
    x_BD = (torch.arange((2 + rank) * 2, dtype=torch.float32).reshape(-1, 2) + 100 * rank).requires_grad_()
    x_GD = gather_with_gradient(x_BD)
    factor_GD = torch.arange(10, dtype=torch.float32).reshape(5, 2) * (10 if rank else 1)
    (x_GD * factor_GD).sum().backward()
    ids = gather_with_gradient(torch.tensor([7, 8]) + rank)
    masks = gather_with_gradient(torch.tensor([rank == 1]))
    own = own_rows(2 + rank)
    return {
        "rows": x_GD.tolist(), "gradient": x_BD.grad.tolist(), "ids": ids.tolist(), "masks": masks.tolist(),
        "own": [own.start, own.stop],
    }  # fmt: skip


def validated(folder: str) -> list:
    """Early stopping follows the first process's validation on all processes."""
    run = Run(folder, seed=0, device="cpu", quiet=True)
    run.seed_everything()
    model = torch.nn.Linear(2, 1)
    called = []

    def validate() -> dict[str, float]:
        called.append(1)
        return {"ndcg@10": [0.3, 0.2, 0.1][len(called) - 1]}

    def step(rows: torch.Tensor, rng: torch.Generator) -> StepOutput:
        loss = (model(rows[:, None].float().repeat(1, 2)) ** 2).sum()
        return StepOutput(loss, len(rows), len(rows))

    source = ShuffledRows(8, 4, lambda rows, rng: torch.from_numpy(rows), seed=0)
    config = TrainConfig(epochs=9, patience=2, learning_rate=0.1)
    result = train(model, source, step, config, run, validate=validate)
    return [len(called), result.reason, result.steps, result.best, model.weight.tolist()]


class Uneven:
    """A source that breaks the rule: the second process has fewer batches."""

    def __len__(self) -> int:
        return 4

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1):
        yield from [torch.ones(2)] * (4 - rank)


def uneven() -> int:
    """Training ends with the shorter process instead of waiting for ever."""
    model = torch.nn.Linear(1, 1)

    def step(batch: torch.Tensor, rng: torch.Generator) -> StepOutput:
        return StepOutput(model(batch[:, None]).sum(), 2, 2)

    return train(model, Uneven(), step, TrainConfig(epochs=1), Run(device="cpu", quiet=True)).steps


def fail_on_second() -> int:
    """The second process fails while the first waits for it."""
    if current().rank == 1:
        raise ValueError("no bird today")
    gather_with_gradient(torch.zeros(1))
    return 0
