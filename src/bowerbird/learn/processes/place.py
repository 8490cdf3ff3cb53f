"""This process's place among the training processes."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

#: The first rank validates while the others wait, which can be long.
_TIMEOUT = timedelta(hours=6)


@dataclass(frozen=True)
class World:
    """This process's place: ``rank`` of ``size``; ``local_rank`` counts within the machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0


def current() -> World:
    """This process's place, joining the group that :func:`launch` or ``torchrun`` prepared if need be."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    local_rank = int(os.environ["LOCAL_RANK"])
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(local_rank % torch.cuda.device_count())
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=_TIMEOUT
        )
        atexit.register(_leave)
    return World(dist.get_rank(), size, local_rank)


def _leave() -> None:
    """Leave the group before the interpreter goes: a group torn down with it can abort the process."""
    if dist.is_initialized():
        dist.destroy_process_group()


def world_size() -> int:
    """Processes in the group; 1 when there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
