"""Start processes of one group on this machine and hear from each of them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import torch
import torch.distributed as dist

from bowerbird.learn.processes.place import current, world_size
from bowerbird.tables.errors import BowerbirdError, ConfigError

#: Seconds that interrupted processes get to write a checkpoint.
_GRACE = 60.0


class ProcessError(BowerbirdError):
    """A process of a group failed."""


def launch(fn: Callable[..., Any], n: int, *args: Any, threads: int | None = None) -> list[Any]:
    """Run ``fn(*args)`` in ``n`` fresh processes of one group on this machine.

    Args:
        fn: a module-level function; inside it :func:`bowerbird.learn.processes.current` gives the rank.
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
    # The meeting point is hosted here, on a port nobody else has, so that starts cannot collide.
    meeting = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(n),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(meeting.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    started: list[SpawnProcess] = []
    pipes: list[Connection] = []
    try:
        for rank in range(n):
            ours, theirs = context.Pipe(duplex=False)
            place = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = context.Process(target=_member, args=(fn, args, place, threads, theirs), daemon=True)
            process.start()
            theirs.close()
            started.append(process)
            pipes.append(ours)
        return _collect(pipes)
    except KeyboardInterrupt:
        for process in started:  # they were interrupted too, and may be writing a checkpoint
            process.join(timeout=_GRACE)
        raise
    except BaseException:
        for process in started:  # the survivors wait for the one that failed
            process.kill()
        raise
    finally:
        for process in started:
            process.join(timeout=_GRACE)
            process.kill()
        for pipe in pipes:
            pipe.close()


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
    fn: Callable[..., Any], args: tuple[Any, ...], place: dict[str, str], threads: int, pipe: Connection
) -> None:
    torch.set_num_threads(threads)
    os.environ.update(place)
    try:
        current()
        result = fn(*args)
        if world_size() > 1:
            dist.barrier()
            dist.destroy_process_group()
        pipe.send(_Word(result))
    except BaseException:  # the parent must hear of anything, Ctrl-C included, and before the others notice
        with contextlib.suppress(OSError):
            pipe.send(_Word(trouble=traceback.format_exc(), moment=time.monotonic()))
        raise SystemExit(1) from None
    finally:
        pipe.close()
