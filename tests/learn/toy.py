"""Small models with known behaviour, for the tests of the training loop.

Legend: B rows, G rows of all processes, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from bowerbird.learn.processes import gather_with_gradient, own_rows
from bowerbird.learn.run import Run
from bowerbird.learn.train import ShuffledRows, StepOutput, TrainConfig, TrainResult, train


@dataclass
class Rows:
    """A batch: inputs, targets and row numbers."""

    x: torch.Tensor
    y: torch.Tensor
    row: torch.Tensor


class Regression(nn.Module):
    """A tiny network with every kind of parameter: table, matrix, bias, norm."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(40, 4)
        self.mix = nn.Linear(8, 6)
        self.norm = nn.LayerNorm(6)
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(6, 1)

    def forward(self, batch: Rows) -> torch.Tensor:
        h = torch.cat([batch.x, self.table(batch.row)], dim=1)
        return self.out(self.drop(torch.relu(self.norm(self.mix(h))))).squeeze(1)


class World:
    """40 rows of a noisy linear truth, a model for them, and how to train it."""

    def __init__(self, *, seed: int = 0, dropout: float = 0.0, batch_size: int = 8) -> None:
        rng = np.random.default_rng(5)
        self.x = torch.tensor(rng.normal(size=(40, 4)), dtype=torch.float32)
        self.y = torch.tensor(rng.normal(size=40), dtype=torch.float32) + self.x.sum(dim=1)
        self.seed = seed
        self.batch_size = batch_size
        torch.manual_seed(seed)
        self.model = Regression(dropout)
        self.source = ShuffledRows(40, batch_size, self.build, seed=seed)
        self.seen: list[list[int]] = []

    def build(self, rows: np.ndarray, rng: np.random.Generator) -> Rows:
        return Rows(self.x[rows], self.y[rows], torch.from_numpy(rows))

    def step(self, batch: Rows, rng: torch.Generator) -> StepOutput:
        self.seen.append(batch.row.tolist())
        error = self.model(batch) - batch.y
        # Random numbers of both kinds take part, so that a resume which lost either would show.
        noise = torch.rand((), generator=rng) + torch.rand(())
        loss = (error**2).sum() * (1 + 0.1 * noise)
        return StepOutput(loss, len(error), len(error), {"absolute": error.abs().sum()})

    def validate(self) -> dict[str, float]:
        rows = Rows(self.x, self.y, torch.arange(40))
        return {"mse": float(((self.model(rows) - self.y) ** 2).mean())}

    def train(self, config: TrainConfig, folder: Path | None = None, *, resume: bool = False) -> TrainResult:
        run = Run(folder, seed=self.seed, device="cpu", quiet=True, resume=resume)
        return train(
            self.model, self.source, self.step, config, run, validate=self.validate, monitor="mse", mode="min"
        )

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


class Towers(nn.Module):
    """Two towers with in-batch negatives gathered over processes, and shared random negatives."""

    def __init__(self) -> None:
        super().__init__()
        self.users = nn.Embedding(24, 5)
        self.items = nn.Embedding(24, 5)
        self.head = nn.Linear(5, 5)
        self.unused = nn.Linear(2, 2)

    def step(self, batch: torch.Tensor, rng: torch.Generator) -> StepOutput:
        anchor_BD = self.head(self.users(batch))
        item_GD = gather_with_gradient(self.items(batch))
        id_G = gather_with_gradient(batch)
        random_ids = torch.randint(24, (6,), generator=rng)
        logit_BC = anchor_BD @ torch.cat([item_GD, self.items(random_ids)]).T
        own = own_rows(len(batch))
        target_B = torch.arange(own.start, own.stop)
        same_BC = torch.cat([id_G, random_ids])[None, :] == batch[:, None]
        same_BC[torch.arange(len(batch)), target_B] = False
        loss_B = nn.functional.cross_entropy(
            logit_BC.masked_fill(same_BC, float("-inf")), target_B, reduction="none"
        )
        return StepOutput(loss_B.sum(), len(batch), len(batch), {"rows": float(len(batch))})


def train_towers(folder: str | None, steps: int, accumulate: int = 1) -> tuple[dict[str, list], TrainResult]:
    """Train the towers (22 rows, batches of 8, so the last batch is small); returns weights and the
    result."""
    run = Run(folder, seed=3, device="cpu", quiet=True)
    run.seed_everything()
    model = Towers()
    if run.world.rank == 1:  # the loop must give every process the first one's weights
        nn.init.zeros_(model.head.weight)
    source = ShuffledRows(22, 8, lambda rows, rng: torch.from_numpy(rows), seed=3)
    config = TrainConfig(
        steps=steps, learning_rate=0.05, weight_decay=0.1, warmup_steps=2, log_every_steps=2,
        gradient_clip=0.5, ema=0.5, accumulate=accumulate,
    )  # fmt: skip
    result = train(model, source, model.step, config, run)
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}, result
