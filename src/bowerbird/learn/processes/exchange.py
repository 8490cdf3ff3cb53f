"""Values and rows exchanged between processes; rows with gradients, for negatives across processes.

Legend: B rows of this process, G rows of all processes together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist

from bowerbird.learn.processes.place import world_size


def broadcast_json(value: Any) -> Any:
    """The first process's JSON-able value on every process; ``value`` itself when there is one process."""
    if world_size() == 1:
        return value
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    size = torch.tensor([len(content)], dtype=torch.int64)
    dist.broadcast(size, 0)
    if dist.get_rank() != 0:
        content = torch.empty(int(size), dtype=torch.uint8)
    dist.broadcast(content, 0)
    return json.loads(content.numpy().tobytes())


def gather_state(state: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """The named tensors of every process, by rank; names, shapes and types must be equal on all of them."""
    if world_size() == 1:
        return [dict(state)]
    found: list[dict[str, torch.Tensor]] = [{} for _ in range(world_size())]
    for name in sorted(state):
        parts = [torch.empty_like(state[name]) for _ in found]
        dist.all_gather(parts, state[name].contiguous())
        for member, part in zip(found, parts, strict=True):
            member[name] = part
    return found


def row_counts(n_rows: int, device: torch.device) -> list[int]:
    """How many rows each process holds, by rank.

    Args:
        n_rows: this process's rows.
        device: where to exchange them.
    """
    counts = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(world_size())]
    dist.all_gather(counts, torch.tensor([n_rows], dtype=torch.int64, device=device))
    return [int(c) for c in torch.cat(counts).tolist()]


def gather_with_gradient(tensor_B: torch.Tensor) -> torch.Tensor:
    """The rows of every process, in rank order, with gradients flowing back to the process that made them.

    In-batch negatives across processes: encode locally, gather, score local anchors against all rows. The
    gradient that arrives at a row is the sum over all processes of the gradients of their losses, so that
    with losses summed (not averaged) per process the parameters' summed gradients equal those of one process
    holding the whole batch.

    Args:
        tensor_B: (B, ...) of any type; B may differ between processes, the other dimensions may not. Integer
            and boolean tensors (ids, masks) are gathered without gradients.

    Returns:
        (G, ...) on the same device; ``tensor_B`` itself when there is one process.
    """
    if world_size() == 1:
        return tensor_B
    if tensor_B.is_floating_point():
        gathered: torch.Tensor = _Gather.apply(tensor_B)
        return gathered
    return _gather(tensor_B, row_counts(len(tensor_B), tensor_B.device))


def own_rows(n_rows: int, device: torch.device | None = None) -> slice:
    """Where this process's rows lie in a gathered tensor; ``slice(0, n_rows)`` when there is one process."""
    if world_size() == 1:
        return slice(0, n_rows)
    counts = row_counts(n_rows, device or torch.device("cpu"))
    start = sum(counts[: dist.get_rank()])
    return slice(start, start + n_rows)


def _gather(tensor: torch.Tensor, counts: list[int]) -> torch.Tensor:
    """All processes' rows; shorter ones are padded for the exchange, as collectives need equal shapes."""
    widest = max(counts)
    padded = tensor.new_zeros((widest, *tensor.shape[1:]))
    padded[: len(tensor)] = tensor
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
        counts = row_counts(len(tensor), tensor.device)
        ctx.start, ctx.rows = sum(counts[: dist.get_rank()]), len(tensor)
        return _gather(tensor, counts)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.rows]
