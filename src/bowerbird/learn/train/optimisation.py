"""The optimisation settings that every model trained by gradient shares."""

from __future__ import annotations

from dataclasses import dataclass

from bowerbird.learn.train.config import Precision, TrainConfig


@dataclass(frozen=True)
class Optimisation:
    """Base of a learner's settings: how its weights are found. Learners add how long, and change the defaults.

    Attributes:
        learning_rate, weight_decay, warmup_steps, gradient_clip, precision, ema, patience: as in
            :class:`~bowerbird.learn.train.config.TrainConfig`.
        max_minutes: stop training after this wall time (0 = no limit).
        validation_cases: most held-out questions a validation asks.
        seed: seed of weights, sampling and order.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    precision: Precision = "fp32"
    ema: float = 0.0
    patience: int = 3
    max_minutes: float = 0.0
    validation_cases: int = 10_000
    seed: int = 0

    def optimised(self, *, epochs: int = 0, steps: int = 0, validate_every: int) -> TrainConfig:
        """Settings of the training loop: AdamW with a short memory, warm-up, cosine down to 2 %.

        Args:
            epochs, steps: length of the training, by one of the two.
            validate_every: epochs, or steps, between validations.
        """
        return TrainConfig(
            epochs=epochs, steps=steps, learning_rate=self.learning_rate, weight_decay=self.weight_decay,
            betas=(0.9, 0.98), warmup_steps=self.warmup_steps, schedule="cosine", final_rate=0.02,
            gradient_clip=self.gradient_clip, precision=self.precision, ema=self.ema, patience=self.patience,
            validate_every_epochs=0 if steps else validate_every, validate_every_steps=validate_every if steps else 0,
            max_minutes=self.max_minutes,
        )  # fmt: skip
