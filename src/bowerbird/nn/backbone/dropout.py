"""Dropout whose random bits are drawn four to a word: several times faster on a CPU than one draw per element."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEVELS = 1 << 16


def dropout(x: Tensor, p: float) -> Tensor:
    """Zero each element with probability ``p`` and scale the rest by 1 / (1 - p), as in training.

    On a CPU ``p`` is rounded to a multiple of 2^-16. The global generator of the device is used, so a restored
    generator state gives the same mask again.

    Args:
        x: any shape, floating point.
        p: in [0, 1); 0 returns ``x`` itself.
    """
    if p == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p, training=True)
    n = x.numel()
    words = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[:n].view(x.shape)
    threshold = round(p * _LEVELS)
    kept = (bits >= threshold - _LEVELS // 2).to(x.dtype)
    return x * kept.mul_(_LEVELS / (_LEVELS - threshold))
