"""What the training loop can be told, and the learning rate of every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training.

    Attributes:
        epochs: passes over the source; ignored where ``steps`` is given.
        steps: optimiser steps; 0 = by epochs.
        learning_rate: the rate after warm-up.
        weight_decay: AdamW's decoupled decay, on matrices only.
        betas, epsilon: AdamW's.
        warmup_steps: steps over which the rate rises linearly to ``learning_rate``.
        schedule: what the rate does afterwards: ``constant``, ``linear`` or ``cosine``.
        final_rate: the rate at the last step, as a share of ``learning_rate``.
        gradient_clip: largest L2 norm of the gradient; 0 = no limit.
        accumulate: batches per optimiser step; the loss is normalised over all of them together.
        precision: ``fp32``, or ``bf16`` autocast (weights and optimiser stay fp32).
        ema: decay of the exponential moving average of the weights, 0 = off. When on, the average is what is
            validated and returned. Early steps use the smaller decay ``(1 + t) / (10 + t)``.
        validate_every_epochs: epochs between validations; 0 = not by epochs.
        validate_every_steps: steps between validations; 0 = not by steps.
        patience: stop after this many validations in a row without a gain; 0 = never.
        minimum_gain: a validation counts as better only if it beats the best by more than this.
        checkpoint_every_steps: steps between checkpoints; 0 = one per epoch. Only for runs with a folder.
        keep_checkpoints: newest checkpoints kept.
        max_minutes: stop after this much training time (validation excluded, time before a resume included);
            0 = no limit. A run stopped by time is not reproducible.
        log_every_steps: steps between metric records.
        prefetch: batches built ahead by a thread; 0 builds them in the loop.
    """

    epochs: int = 10
    steps: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    warmup_steps: int = 0
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    final_rate: float = 0.0
    gradient_clip: float = 1.0
    accumulate: int = 1
    precision: Precision = "fp32"
    ema: float = 0.0
    validate_every_epochs: int = 1
    validate_every_steps: int = 0
    patience: int = 0
    minimum_gain: float = 0.0
    checkpoint_every_steps: int = 0
    keep_checkpoints: int = 2
    max_minutes: float = 0.0
    log_every_steps: int = 20
    prefetch: int = 2

    def __post_init__(self) -> None:
        if self.epochs < 1 and self.steps < 1:
            raise ValueError("epochs must be at least 1, or steps given")
        for name in ("learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("accumulate", "log_every_steps", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in (
            "steps",
            "weight_decay",
            "warmup_steps",
            "gradient_clip",
            "validate_every_epochs",
            "validate_every_steps",
            "patience",
            "minimum_gain",
            "checkpoint_every_steps",
            "max_minutes",
            "prefetch",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.ema < 1 or not 0 <= self.final_rate <= 1:
            raise ValueError(
                f"ema must lie in [0, 1) and final_rate in [0, 1], got {self.ema} and {self.final_rate}"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), got {self.betas}")

    def total_steps(self, batches_per_epoch: int) -> int:
        """Optimiser steps of the whole training, for a source with this many batches per epoch."""
        return self.steps or self.epochs * math.ceil(batches_per_epoch / self.accumulate)

    def rate(self, step: int, total_steps: int) -> float:
        """The learning rate of one optimiser step.

        Args:
            step: the step about to be taken, from 0.
            total_steps: steps of the whole training; later steps keep the last rate.

        Returns:
            ``learning_rate * (step + 1) / warmup_steps`` during warm-up; afterwards the schedule, which
            starts at ``learning_rate`` and would reach ``final_rate * learning_rate`` at ``step ==
            total_steps``.
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        done = min(1.0, (step - self.warmup_steps) / max(1, total_steps - self.warmup_steps))
        left = 1 - done if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * left)
