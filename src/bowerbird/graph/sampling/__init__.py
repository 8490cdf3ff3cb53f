"""Neighbour sampling: random walks with restart around nodes, on the fly or precomputed.

``sampler`` batches and threads · ``space`` the graph one subset walks on · ``methods`` forward push with its closing,
its reference in numpy, simulated walks, power iteration · ``stored`` all neighbourhoods of a type in mapped files.
"""

from bowerbird.graph.compiled import forget_stale
from bowerbird.graph.sampling.sampler import Method, Sampler
from bowerbird.graph.sampling.shapes import PADDING, Neighbourhoods, Slot, Subset
from bowerbird.graph.sampling.stored import StoredNeighbourhoods, precompute

__all__ = [
    "PADDING",
    "Method",
    "Neighbourhoods",
    "Sampler",
    "Slot",
    "StoredNeighbourhoods",
    "Subset",
    "precompute",
]

forget_stale()
