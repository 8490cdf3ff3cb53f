"""The one training loop and its parts."""

from bowerbird.learn.batches.source import BatchSource, ShuffledRows
from bowerbird.learn.train.config import Precision, TrainConfig
from bowerbird.learn.train.loop import TrainResult, train
from bowerbird.learn.train.optimisation import Optimisation
from bowerbird.learn.train.optimiser import TrainingError
from bowerbird.learn.train.step import StepFunction, StepOutput

__all__ = [
    "BatchSource",
    "Optimisation",
    "Precision",
    "ShuffledRows",
    "StepFunction",
    "StepOutput",
    "TrainConfig",
    "TrainResult",
    "TrainingError",
    "train",
]
