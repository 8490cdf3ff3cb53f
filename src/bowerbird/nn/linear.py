"""A linear layer that leaves no half of an AMD processor idle.

PyTorch gives float32 products on a CPU to MKL, which keeps its AVX-512 kernels to Intel's own processors; oneDNN, in
the same PyTorch, has some for every processor that knows the instructions. On an AMD processor with AVX-512 the passes
of a model of size m take about three quarters of the time by it (`serving_cost.json` beside `serving_cost_mkl.json`),
with the weights ready in the order that it reads them in: a copy that is made at the first question and again when the
weights have changed. Learning is left alone: it computes in bfloat16 where nothing else is said, which oneDNN does
already.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS, _WEIGHTS = 2, 4096
"""One row, or a smaller matrix, is answered as quickly by MKL."""
_USUAL_ROWS = 64
"""Rows that the order of the copy is chosen for."""


class Linear(nn.Linear):
    """`torch.nn.Linear`, and by oneDNN where that is faster: the same numbers up to rounding."""

    _copy: tuple[Tensor, int, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """x W^T + b."""
        if self._by_onednn(x):
            return self._onednn(x, "none", "")
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the answer, in the same sweep where that is possible."""
        if self._by_onednn(x):
            return self._onednn(x, "gelu", "none")
        return F.gelu(F.linear(x, self.weight, self.bias))

    def __getstate__(self) -> dict[str, Any]:
        """Without the copy, which can be neither copied nor pickled."""
        return {name: value for name, value in self.__dict__.items() if name != "_copy"}

    def _onednn(self, x: Tensor, after: str, algorithm: str) -> Tensor:
        found: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._ready(), self.bias, after, [], algorithm
        )
        return found

    def _ready(self) -> Tensor:
        """The weights in oneDNN's order."""
        weight, kept = self.weight, self._copy
        if weight.is_inference():  # nothing says whether such a tensor has changed
            return weight
        # a kept view holds on to its memory, so equal addresses are the same weights
        if kept is None or kept[1] != weight._version or kept[0].data_ptr() != weight.data_ptr():
            still = weight.detach()
            ready = torch.ops.mkldnn._reorder_linear_weight(still, _USUAL_ROWS)
            kept = self._copy = (still, weight._version, ready)
        return kept[2]

    def _by_onednn(self, x: Tensor) -> bool:
        # asked at every product of a request: what rules most of them out comes first
        return (
            x.numel() >= _ROWS * self.in_features
            and self.in_features * self.out_features >= _WEIGHTS
            and not torch.is_grad_enabled()
            and x.dtype is torch.float32
            and onednn_is_faster()
            and x.device.type == "cpu"
            and self.weight.dtype is torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
        )


@cache
def onednn_is_faster() -> bool:
    """Whether this is an AMD processor with AVX-512, and a PyTorch with oneDNN."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    processor = torch.cpu.get_capabilities()
    return bool(processor.get("avx512_f")) and "AMD" in str(processor.get("cpu_name", ""))
