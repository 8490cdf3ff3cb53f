"""Several training processes: who am I, start them, and exchange rows between them with gradients.

Processes come either from ``torchrun`` (which sets ``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``) or from
:func:`launch`, which spawns them on this machine (spawn, never fork: a forked child of a process that has
used polars or torch can hang). CPU tensors travel over gloo, CUDA tensors over NCCL.

Legend: B rows of this process, G rows of all processes together.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from bowerbird.tables.errors import BowerbirdError, ConfigError

#: The first rank validates while the others wait, which can be long.
_TIMEOUT = timedelta(hours=6)


class ProcessError(BowerbirdError):
    """A process of a group failed."""


@dataclass(frozen=True)
class World:
    """This process's place: ``rank`` of ``size``; ``local_rank`` counts within the machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0


def current() -> World:
    """This process's place, joining the group that ``torchrun`` prepared if that has not happened yet."""
    if dist.is_available() and dist.is_initialized():
        return World(
            dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", dist.get_rank()))
        )
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    local_rank = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    dist.init_process_group(_backend(), timeout=_TIMEOUT)
    return World(dist.get_rank(), size, local_rank)


def launch(fn: Callable[..., Any], n: int, *args: Any, threads: int | None = None) -> list[Any]:
    """Run ``fn(*args)`` in ``n`` fresh processes of one group on this machine.

    Args:
        fn: a module-level function; inside it :func:`current` gives the rank.
        n: number of processes, at least 1.
        args: passed to every process; plain values and paths (large data belongs in files both sides open).
        threads: torch threads of each process; the machine's cores divided by ``n`` when left out.

    Returns:
        What each process returned, by rank. Return small plain values; write tensors to files.

    Raises:
        ProcessError: if a process fails; the others are stopped and the message holds its traceback.
    """
    if n < 1:
        raise ConfigError(f"the number of processes must be at least 1, got {n}")
    threads = threads or max(1, (os.cpu_count() or 1) // n)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bowerbird-") as folder:
        members = []
        for rank in range(n):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_member,
                args=(fn, args, rank, n, threads, str(Path(folder) / "meeting"), theirs),
                daemon=True,
            )
            process.start()
            theirs.close()
            members.append((process, ours))
        try:
            results = _collect([ours for _, ours in members])
        except BaseException:
            for process, _ in members:  # the survivors wait for the one that failed
                process.kill()
            raise
        finally:
            for process, _ in members:
                process.join()
        return results


@dataclass(frozen=True)
class _Word:
    """The last word of a process: its result, or a traceback and when it failed."""

    result: Any = None
    trouble: str = ""
    moment: float = 0.0


def _collect(pipes: list[Connection]) -> list[Any]:
    """What each process returned, by rank; raises at the first trouble."""
    words: dict[int, _Word | None] = {}
    while len(words) < len(pipes):
        _listen(pipes, words, None)
        if any(word is None or word.trouble for word in words.values()):
            # The others fail as a consequence; wait a moment to know which came first.
            time.sleep(0.5)
            _listen(pipes, words, 0.0)
            silent = [rank for rank, word in words.items() if word is None]
            if silent:
                raise ProcessError(f"process {silent[0]} of {len(pipes)} ended without a word (killed?)")
            failed = {rank: word for rank, word in words.items() if word is not None and word.trouble}
            rank, first = min(failed.items(), key=lambda pair: pair[1].moment)
            raise ProcessError(f"process {rank} of {len(pipes)} failed:\n{first.trouble}")
    return [word.result for _, word in sorted(words.items()) if word is not None]


def _listen(pipes: list[Connection], words: dict[int, _Word | None], timeout: float | None) -> None:
    """Take in what has been said; ``None`` stands for a process that ended without a word."""
    silent = {pipe: rank for rank, pipe in enumerate(pipes) if rank not in words}
    for ready in wait(list(silent), timeout):
        assert isinstance(ready, Connection)
        try:
            words[silent[ready]] = ready.recv()
        except EOFError:
            words[silent[ready]] = None


def _member(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    rank: int,
    n: int,
    threads: int,
    meeting: str,
    pipe: Connection,
) -> None:
    torch.set_num_threads(threads)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(n), "LOCAL_RANK": str(rank)}
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(rank % torch.cuda.device_count())
        dist.init_process_group(
            _backend(), init_method=f"file://{meeting}", rank=rank, world_size=n, timeout=_TIMEOUT
        )
        result = fn(*args)
        dist.barrier()
        dist.destroy_process_group()
        pipe.send(_Word(result))
    except BaseException:  # the parent must hear of anything, Ctrl-C included, and before the others notice
        with contextlib.suppress(OSError):
            pipe.send(_Word(trouble=traceback.format_exc(), moment=time.monotonic()))
        raise SystemExit(1) from None
    finally:
        pipe.close()


def _backend() -> str:
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def world_size() -> int:
    """Processes in the group; 1 when there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


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
