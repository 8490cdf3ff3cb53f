"""The degree pruning of the paper: a hub keeps a random part of its edges, a leaf keeps all of them.

Source: OmniSage (arXiv 2504.17811), appendix, algorithm 2, read second-hand: a node of degree d keeps a uniform random
subset of target(d) = max(min(d^a, d_max), d_min) edges. The paper does not say what becomes of an edge that only one
of its ends keeps; `ends` has the three answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.tables.errors import ConfigError

Ends = Literal["own", "either", "both"]
Keep = Literal["random", "heaviest"]


@dataclass(frozen=True)
class Pruning:
    """How hubs are thinned. Each relation and each direction is pruned for itself.

    Attributes:
        exponent: a, in (0, 1]; 0.86 in the paper.
        floor: d_min, edges that a node keeps at least (all of them where it has fewer).
        cap: d_max, edges that a node keeps at most, except that the floor wins over it.
        ends: Whose choice counts. `"own"`: every node has its own list, so that a hub's list is cut and the leaf
            still lists the hub; bounds every degree and isolates nobody. `"either"`: an edge stays, both ways, if
            one of its ends keeps it; does not bound degrees. `"both"`: it stays if both ends keep it; bounds degrees,
            and may leave a node below the floor.
        keep: Which edges a node keeps: `"random"` ones (the paper), or the `"heaviest"`, ties at random.
    """

    exponent: float = 0.86
    floor: int = 10
    cap: int = 10_000
    ends: Ends = "own"
    keep: Keep = "random"

    def __post_init__(self) -> None:
        if not 0 < self.exponent <= 1:
            raise ConfigError(f"pruning: exponent must be above 0 and at most 1, not {self.exponent}")
        if self.floor < 1 or self.cap < 1:
            raise ConfigError(f"pruning: floor and cap must be at least 1, not {self.floor} and {self.cap}")
        for name, value, known in (("ends", self.ends, get_args(Ends)), ("keep", self.keep, get_args(Keep))):
            if value not in known:
                raise ConfigError(f"pruning: {name} must be one of {', '.join(known)}, not {value!r}")

    def kept(self, degree: ArrayLike) -> NDArray[np.int64]:
        """How many of its edges a node keeps: int64, same shape as `degree`. Rounded to the nearest number.

        >>> Pruning().kept([3, 10, 20, 1000, 10_000, 100_000]).tolist()
        [3, 10, 13, 380, 2754, 10000]
        """
        degrees = np.asarray(degree, np.int64)
        wanted = np.rint(degrees.astype(np.float64) ** self.exponent)
        return np.minimum(degrees, np.maximum(np.minimum(wanted, self.cap), self.floor).astype(np.int64))
