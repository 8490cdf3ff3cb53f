"""The expensive part of a sampled softmax: one log-sum-exp per row over all negatives, tile by tile."""

from bowerbird.nn.losses.logsumexp.blocked import Blocked
from bowerbird.nn.losses.logsumexp.tiles import tiled_logsumexp

__all__ = ["Blocked", "tiled_logsumexp"]
