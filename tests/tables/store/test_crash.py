"""kill -9 at any moment leaves the last good store."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.store import Store, build_store

BATCHES = 60


def batch(number):
    """The events and items of one append; the same number gives the same rows."""
    rng = np.random.default_rng(number)
    events = pl.DataFrame(
        {
            "user_id": rng.integers(0, 20 + number, 40),
            "item_id": rng.integers(0, 10 + number, 40),
            "timestamp": number * 100 + rng.integers(0, 100, 40),
            "actions": [[["click"], []][n] for n in rng.integers(0, 2, 40)],
        }
    )
    return {
        "events": events,
        "items": pl.DataFrame({"item_id": [number], "title": [f"item number {number}"]}),
    }


def append_until_killed(path, done, kill_at_call):
    """Appends batches; kills itself at the given call of fsync or rename (0 = never)."""
    calls = 0

    def counted(function):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == kill_at_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    os.fsync = counted(os.fsync)
    Path.replace = counted(Path.replace)
    Path.rename = counted(Path.rename)
    for number in range(done, BATCHES):
        build_store(path, batch(number), append=True, expected_events=1_500_000)


def content(store):
    events = store.events
    users, items = np.array(store.users.ids), np.array(store.items.ids)
    columns = (users[events.user], items[events.item], events.time, events.actions)
    titles = store.item_table.frame.drop_nulls().sort("item_id").rows()
    return sorted(zip(*(column.tolist() for column in columns), strict=True)), titles


@pytest.mark.processes
def test_a_killed_writer_leaves_the_last_good_store(tmp_path):
    rng = random.Random(7)
    path = tmp_path / "s"
    build_store(path, batch(0), expected_events=1_500_000)
    done = 1
    context = multiprocessing.get_context("spawn")
    # An append makes about 25 calls of fsync and rename, so these rounds die in the first, second or third append;
    # the others die wherever the clock finds them.
    for kill_at_call in [*rng.sample(range(1, 60), 9), 0, 0, 0]:
        process = context.Process(target=append_until_killed, args=(path, done, kill_at_call))
        process.start()
        if not kill_at_call:
            before = (path / "manifest.json").stat().st_mtime_ns
            while (path / "manifest.json").stat().st_mtime_ns == before and process.is_alive():
                time.sleep(0.002)
            time.sleep(rng.random() * 0.1)
            process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        store = Store.open(path)
        now = store.manifest.counts["items_rows"]
        assert now >= done
        done = now
        frames = [batch(number) for number in range(done)]
        expected = build_store(
            tmp_path / "expected",
            {name: pl.concat([frame[name] for frame in frames]) for name in ("items", "events")},
            overwrite=True,
        )
        assert content(store) == content(expected)
        assert store.manifest.content_hash == expected.manifest.content_hash
    assert done > 5
