"""Several training processes: who am I, start them, exchange values and rows between them.

Processes come either from ``torchrun`` or from :func:`launch`, which spawns them on this machine (spawn,
never fork: a forked child of a process that has used polars or torch can hang) with the environment that
``torchrun`` makes. CPU tensors travel over gloo, CUDA tensors over NCCL.
"""

from bowerbird.learn.processes.exchange import (
    broadcast_json,
    gather_state,
    gather_with_gradient,
    own_rows,
    row_counts,
)
from bowerbird.learn.processes.launch import ProcessError, launch
from bowerbird.learn.processes.place import World, current, world_size

__all__ = [
    "ProcessError",
    "World",
    "broadcast_json",
    "current",
    "gather_state",
    "gather_with_gradient",
    "launch",
    "own_rows",
    "row_counts",
    "world_size",
]
