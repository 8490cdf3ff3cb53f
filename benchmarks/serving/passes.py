"""The ranking pass by itself: candidates and their history in one dense pass, against candidates on a cached history.

Shapes: B rows, N history tokens, K candidates, D width.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bowerbird.nn import Decoder, DecoderConfig


@dataclass(frozen=True)
class Shape:
    """A decoder and what it is asked.

    Attributes:
        name: How the row is called.
        layers, width, heads: The decoder.
        history, candidates, batch: n, k and B.
    """

    name: str
    layers: int
    width: int
    heads: int
    history: int
    candidates: int
    batch: int = 1

    @property
    def target(self) -> float:
        """The ratio to reach: 0.9 (n + k) / k."""
        return 0.9 * (self.history + self.candidates) / self.candidates

    @property
    def flops(self) -> tuple[float, float]:
        """Floating-point operations of the dense and of the cached pass.

        A token costs 24 D^2 in matrix products of a layer (projections 8, feed-forward 16) and 4 D for every token it
        looks at.
        """
        n, k, width = self.history, self.candidates, self.width
        scoring = k * (24 * width**2 + 4 * width * (n + 1))
        reading = n * 24 * width**2 + 4 * width * n * (n + 1) / 2
        return self.layers * self.batch * (reading + scoring), self.layers * self.batch * scoring


PAPER = (992, 656)
SERVED = {"s": (2, 128, 2, 64), "m": (4, 256, 4, 256)}


def shapes(widths: Sequence[int], *, quick: bool) -> list[Shape]:
    """The paper's history and candidates at widths that fit two cores, and what the sizes serve.

    The narrower the model, the more of a token's cost is attention, of which a history token needs half as much as a
    candidate: only from a width of about 350 on does arithmetic allow the target at the paper's shapes.
    """
    n, k = PAPER
    found = [
        Shape(f"paper, D={width}, B={batch}", 12, width, max(4, width // 64), n, k, batch)
        for width in widths
        for batch in ((1,) if quick or width > 256 else (1, 2))
    ]
    for size, (layers, wide, heads, history) in SERVED.items():
        found += [
            Shape(f"{size}, k={k}", layers, wide, heads, history, k)
            for k in ((60,) if quick else (60, 150, 300))
        ]
    return found


@torch.inference_mode()
def measure(shape: Shape, rounds: int, seed: int) -> dict[str, Any]:
    """Both passes in turns; the ratio is that of two passes one after the other, its median and quartiles."""
    from serving.arms import spread

    torch.manual_seed(seed)
    decoder = Decoder(
        DecoderConfig(
            width=shape.width, layers=shape.layers, heads=shape.heads, max_positions=shape.history + 32
        )
    ).eval()
    x_BND = torch.randn(shape.batch, shape.history, shape.width)
    x_BKD = torch.randn(shape.batch, shape.candidates, shape.width)
    lengths_B = torch.full((shape.batch,), shape.history)
    _, cache = decoder.prefill(x_BND, lengths_B)
    arms = {
        "dense": lambda: decoder(x_BND, lengths_B, x_BKD)[1],
        "cached": lambda: decoder.score(x_BKD, cache),
    }
    difference = float((arms["dense"]() - arms["cached"]()).abs().max())
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in list(arms)[:: 1 if number % 2 else -1]:
            wall, cpu = time.perf_counter(), time.process_time()
            arms[name]()
            if number:  # the first round warms up
                took[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    dense, cached = np.array(took["dense"]), np.array(took["cached"])
    flops_dense, flops_cached = shape.flops
    return {
        "name": shape.name,
        "layers": shape.layers,
        "width": shape.width,
        "heads": shape.heads,
        "history": shape.history,
        "candidates": shape.candidates,
        "batch": shape.batch,
        "rounds": rounds,
        "dense_ms": spread(1e3 * dense[:, 0]),
        "cached_ms": spread(1e3 * cached[:, 0]),
        "ratio": spread(dense[:, 0] / cached[:, 0]),
        "ratio_cpu": spread(dense[:, 1] / np.maximum(cached[:, 1], 1e-6)),
        "target": shape.target,
        "ratio_by_arithmetic": flops_dense / flops_cached,
        "gflop_per_second": {
            "dense": flops_dense / 1e9 / float(np.median(dense[:, 0])),
            "cached": flops_cached / 1e9 / float(np.median(cached[:, 0])),
        },
        "largest_difference": difference,
    }
