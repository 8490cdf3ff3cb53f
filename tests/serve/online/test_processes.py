"""Processes that share a database, and processes that die."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bowerbird.serve.online import OnlineHistory
from bowerbird.serve.online.export import append_to_store
from bowerbird.tables.store import Store
from serve.online.conftest import Open
from serve.online.test_export import OLD, expected, platform, posted, seen

FAULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "faults.py"
MEMBERS = Path(__file__).with_name("members.py")


def start(*words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(MEMBERS), *map(str, words)])


@pytest.mark.processes
def test_two_processes_post_to_one_database(url: str, opened: Open) -> None:
    history = opened(lock_seconds=30)
    others = [start("post", url, name, 20) for name in ("one", "two")]
    reached = 0
    while any(other.poll() is None for other in others):
        # Whoever reads up to a number has missed nothing below it, whatever is being written.
        found = history.tail("ada", 1000)
        assert sorted(event.sequence for event in found) == list(range(1, len(found) + 1))
        assert len(found) >= reached
        reached = len(found)
        try:
            others[0].wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        others[1].wait(60)
    assert [other.returncode for other in others] == [0, 0]
    found = history.tail("ada", 1000)
    assert len(found) == 60 and len({event.event_id for event in found}) == 60
    assert history.version("ada").events == history.high_water() == 60


@pytest.mark.processes
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_export_killed_around_the_commit(when: str, tmp_path: Path) -> None:
    url, store = str(tmp_path / "online.sqlite"), tmp_path / "store"
    platform(store)
    with OnlineHistory.for_store(url, Store.open(store)) as history:
        history.append(posted(1, 2, 3))
        assert start("export", url, store, when).wait(60) == -signal.SIGKILL
        done = 3 if when == "after" else 0
        assert len(seen(store)) == len(OLD) + done
        assert append_to_store(history, store).events == 3 - done
    assert seen(store) == OLD + expected(posted(1, 2, 3))


@pytest.mark.processes
def test_acknowledged_events_survive_kill_9(url: str) -> None:
    server = url.startswith("postgresql")
    rounds = 2 if server else 5
    options = f"--rounds {rounds} --threads 2 --seed 1 --print".split()
    command = [sys.executable, str(FAULTS), *options, *(["--url", url] if server else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["rounds"] == rounds and figures["lost"] == figures["doubled"] == 0
    # Every round waits for a first acknowledgement, and the parent posts one event itself.
    assert figures["stored"] >= figures["acknowledged"] > rounds
    assert figures["posted_again_and_not_doubled"] > 0 or server, "some were posted again, and count once"
