"""The server under load: the library's own service and HTTP server in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from bowerbird.recommend.ranking.opened import OpenUniPinRec
    from bowerbird.serve.generators.pinrec import UniPinRecGenerator
    from bowerbird.tables.store import Store


@dataclass(frozen=True)
class Setup:
    """What is served.

    Attributes:
        folder: Where store, index and online history lie; store and index are used again if they are there.
        size: Of the model, `s` or `m`.
        items, users: Of the platform.
        pool_bytes: Most memory for encoded histories.
        threads: Of the model.
        max_batch: Most requests in one batch; 0 = as usual.
        seed: Of everything.
    """

    folder: str
    size: str
    items: int
    users: int
    pool_bytes: int
    threads: int
    max_batch: int
    seed: int


@dataclass
class Running:
    """A server that answers.

    Attributes:
        port, key: Where and with what to ask.
        facts: What it said of itself when it was ready.
        ended: What it said at its end; empty before.
    """

    port: int
    key: str
    facts: dict[str, Any]
    ended: dict[str, Any]


def _opened(setup: Setup) -> tuple[Store, OpenUniPinRec, UniPinRecGenerator]:
    """The platform, the model and what answers with it; the index is kept in the folder."""
    from threadpoolctl import threadpool_limits

    from bowerbird.index import Index
    from bowerbird.serve.generators.pinrec import UniPinRecGenerator
    from serving.world import config_of, make_store, untrained

    threadpool_limits(limits=setup.threads)
    folder, config = Path(setup.folder), config_of(setup.size)
    store = make_store(
        folder / "store", items=setup.items, users=setup.users, history=config.history_length, seed=setup.seed
    )
    opened = untrained(store, config, setup.seed)
    kept = folder / f"index-{setup.size}"
    index = Index.open(kept, mmap=False) if kept.exists() else None
    generator = UniPinRecGenerator(
        opened, "untrained", actions=opened.actions, index=index, pool_bytes=setup.pool_bytes
    )
    if index is None:
        generator.index.save(kept)
    return store, opened, generator


def serve(setup: Setup) -> None:
    """Runs in the process of its own: says one line of JSON when ready, and one when it ends on SIGTERM."""
    import torch

    from bowerbird.serve.apart import apart
    from bowerbird.serve.api.app import Load
    from bowerbird.serve.api.gate import Access
    from bowerbird.serve.api.keys import KeyRing
    from bowerbird.serve.api.metrics import Metrics
    from bowerbird.serve.api.server import listen, run
    from bowerbird.serve.engine import Engine
    from bowerbird.serve.online import OnlineHistory
    from bowerbird.serve.service import Service
    from bowerbird.serve.traffic import Rates

    torch.set_num_threads(setup.threads)
    folder = Path(setup.folder)
    store, opened, generator = apart(lambda: _opened(setup))
    (folder / "online.sqlite").unlink(missing_ok=True)
    history, metrics, ring = OnlineHistory.for_store(folder / "online.sqlite", store), Metrics(), KeyRing()
    engine, observer = Engine(store, generator, history=history), metrics.batcher("model")
    if setup.max_batch:
        engine.start_batching(max_batch=setup.max_batch, observer=observer)
    service = Service(engine, history, observer=observer)
    found = listen("127.0.0.1", 0)
    key = ring.issue("load", ("read", "write"))
    pool = generator.pool.describe()
    facts = {
        "port": found.getsockname()[1], "key": key.text, "torch_threads": torch.get_num_threads(),
        "environment": {n: os.environ.get(n) for n in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")},
        "parameters": sum(p.numel() for p in opened.model.parameters()),
        "decoder_parameters": sum(p.numel() for p in opened.model.decoder.parameters()),
        "index": {"kind": generator.index.kind, **getattr(generator.index, "facts", {})},
        "pool": {name: pool[name] for name in ("slots", "bytes_per_slot", "bytes")},
        "load": asdict(Load()),
    }  # fmt: skip
    print(orjson.dumps(facts).decode(), flush=True)
    try:
        run(
            service, found, access=Access(ring, per_key=Rates(1e6, 1e6)), events=service, metrics=metrics,
        )  # fmt: skip
    finally:
        ended = {"pool": generator.pool.describe(), "peak_resident_mib": _peak_mib()}
        service.close()
        print(orjson.dumps(ended).decode(), flush=True)


@contextmanager
def server(script: Path, setup: Setup) -> Iterator[Running]:
    """Starts `script --serve SETUP` and stops it at the end of the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(setup.threads)}
    command = [sys.executable, str(script), "--serve", orjson.dumps(asdict(setup)).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server ended before it was ready; see its messages above")
            facts = orjson.loads(line)
            running = Running(facts.pop("port"), facts.pop("key"), facts, {})
            yield running
            process.terminate()
            last = process.stdout.read().strip()
            running.ended = orjson.loads(last) if last else {}
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _peak_mib() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
