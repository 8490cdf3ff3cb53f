"""Kill -9 at random moments while threads post events: what was acknowledged is there, and there once.

Each round starts a process that opens the online history and posts from several threads, one or a few events an append,
some of them late and some posted before. It prints a line for every acknowledged append. The parent kills it: most
rounds at a random moment under load, every eighth while it starts. Then the parent opens the history (timed: this is
what a restarted server waits for), reads everything that arrived since the round before, and checks that

- every acknowledged event is there, with the content it was posted with;
- no event is there twice, and sequence numbers have no gaps;
- each user's count of events is the number of events there are;
- an event posted right after the kill is accepted.

At the end everything is read once more from the beginning, and SQLite checks its own file. A failed check ends the run
with status 1. Results go to ``docs/results/faults.json``.

    python benchmarks/faults.py
    python benchmarks/faults.py --url postgresql://bowerbird@localhost/faults   # an empty database
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bowerbird.serve.online import OnlineEvent, OnlineHistory

START = 1_700_000_000_000
USERS = 50
ACTIONS = ("click", "save", "hide")
AGAIN = 10
"""Appends of the round before that each thread posts again."""
PARENT = 1_000_000
"""Number of the parent among the threads."""
UNDER_LOAD, STARTING = 0.4, 0.8
"""Longest seconds to the kill: after the first acknowledgement, and after the start of the process."""


def event(number: int, thread: int, n: int) -> OnlineEvent:
    """The n-th event of a thread in a round. All of it follows from its id, which is its item as well."""
    name = f"{number}.{thread}.{n}"
    rng = random.Random(name)
    late = rng.randrange(5_000) if rng.random() < 0.1 else 0
    return OnlineEvent(
        event_id=name,
        user=f"u{rng.randrange(USERS)}",
        item=name,
        time=START + number * 1_000_000 + n * 10 - late,
        actions=tuple(action for action in ACTIONS if rng.random() < 0.4),
        surface=rng.choice((None, "home")),
        position=rng.choice((None, n % 10)),
    )


def post(url: str, number: int, threads: int) -> None:
    """What is killed: posts until then."""
    history = OnlineHistory.open(url, actions=ACTIONS)

    def append(owner: int, thread: int, first: int, count: int) -> None:
        receipt = history.append([event(owner, thread, n) for n in range(first, first + count)])
        assert receipt.accepted + receipt.duplicates == count, receipt
        # One write of a short line reaches the pipe whole or not at all.
        line = f"{owner} {thread} {first} {count} {receipt.duplicates}\n"
        os.write(sys.stdout.fileno(), line.encode())

    def work(thread: int) -> None:
        rng = random.Random(number * 1000 + thread)
        if number:
            for first in range(AGAIN):
                append(number - 1, thread, first, 1)
        first = 0
        while True:
            count = rng.choice((1, 1, 1, 2, 5))
            append(number, thread, first, count)
            first += count

    for thread in range(threads):
        threading.Thread(target=work, args=(thread,)).start()


@dataclass
class Found:
    """What the rounds have shown so far.

    Attributes:
        acknowledged: Ids with an acknowledgement.
        stored: Ids read back.
        users: Events read back by user.
        duplicates: Acknowledged events that were there already.
        open_ms: Time to open the history again after each kill.
        killed_starting: Rounds killed before the first acknowledgement.
    """

    acknowledged: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    users: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    open_ms: list[float] = field(default_factory=list)
    killed_starting: int = 0


class FaultError(Exception):
    """A promise was broken."""


def one_round(url: str, number: int, threads: int, rng: random.Random, found: Found) -> None:
    """Starts, kills, collects acknowledgements, and checks."""
    command = [sys.executable, __file__, "--post", url, str(number), str(threads)]
    lines: list[bytes] = []
    first = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None

        def read() -> None:
            for line in process.stdout or ():
                lines.append(line)
                first.set()
            first.set()

        reader = threading.Thread(target=read)
        reader.start()
        if number % 8 == 7:
            time.sleep(rng.random() * STARTING)
        else:
            first.wait(60)
            time.sleep(rng.random() * UNDER_LOAD)
        if process.poll() is not None:
            raise FaultError(f"round {number}: the posting process ended by itself ({process.returncode})")
        process.kill()
        reader.join()
    found.killed_starting += not lines
    for line in lines:
        owner, thread, start, count, duplicates = map(int, line.split())
        found.acknowledged |= {event(owner, thread, n).event_id for n in range(start, start + count)}
        found.duplicates += duplicates
    started = time.perf_counter()
    with OnlineHistory.open(url, actions=ACTIONS) as history:
        found.open_ms.append((time.perf_counter() - started) * 1000)
        # The history serves again at once. (In PostgreSQL this also waits for a commit that outlived its client.)
        mine = event(number, PARENT, 0)
        if history.append([mine]).accepted != 1:
            raise FaultError(f"round {number}: an event posted after the kill was not accepted")
        found.acknowledged.add(mine.event_id)
        check(history, number, found)


def check(history: OnlineHistory, number: int, found: Found) -> None:
    """Reads what is new since the round before.

    Raises:
        FaultError: An event is lost, there twice or not what was posted, or a user's count is wrong.
    """
    for chunk in history.export(after=len(found.stored)):
        for row in chunk.rows.iter_rows(named=True):
            name = str(row["item_id"])
            posted = event(*map(int, name.split(".")))
            want = (posted.user, posted.time, sorted(posted.actions), posted.surface, posted.position)
            got = (row["user_id"], row["timestamp"], row["actions"], row["surface"], row["position"])
            if got != want:
                raise FaultError(f"round {number}: event {name} is {got}, posted was {want}")
            if name in found.stored:
                raise FaultError(f"round {number}: event {name} is there twice")
            found.stored.add(name)
            found.users[str(row["user_id"])] += 1
    if lost := found.acknowledged - found.stored:
        raise FaultError(f"round {number}: {len(lost)} acknowledged events are lost, such as {min(lost)}")
    if history.high_water() != len(found.stored):
        raise FaultError(
            f"round {number}: sequence {history.high_water()}, {len(found.stored)} events: there are gaps"
        )
    for user, events in found.users.items():
        if history.version(user).events != events:
            raise FaultError(
                f"round {number}: {user} has {events} events, the version says {history.version(user)}"
            )
    if not history.health().ok:
        raise FaultError(f"round {number}: {history.health().problem}")


def final_check(url: str, found: Found) -> None:
    """Everything once more, from the beginning.

    Raises:
        FaultError: As `check`; or SQLite finds its file damaged.
    """
    again = Found(acknowledged=found.acknowledged)
    with OnlineHistory.open(url, actions=ACTIONS) as history:
        check(history, -1, again)
        for user in found.users:
            tail = [(e.time, e.sequence) for e in history.tail(user, len(found.stored))]
            if tail != sorted(tail) or len(tail) != found.users[user]:
                raise FaultError(f"the tail of {user} is out of order or incomplete")
    if again.stored != found.stored:
        raise FaultError("events that were there in an earlier round are gone")
    if "://" not in url:
        with contextlib.closing(sqlite3.connect(url)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if verdict != "ok":
            raise FaultError(f"integrity check: {verdict}")


def run(url: str, rounds: int, threads: int, seed: int) -> dict[str, Any]:
    """All rounds and the final check; returns the figures."""
    rng, found = random.Random(seed), Found()
    with OnlineHistory.open(url, actions=ACTIONS) as history:
        if history.high_water():
            raise FaultError(f"the database holds {history.high_water()} events already; give an empty one")
    for number in range(rounds):
        one_round(url, number, threads, rng, found)
        done = f"round {number + 1} of {rounds}: {len(found.acknowledged):,} acknowledged, {len(found.stored):,} there"
        print(done, file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n")
    final_check(url, found)
    times = sorted(found.open_ms)
    return {
        "rounds": rounds,
        "killed_while_starting": found.killed_starting,
        "acknowledged": len(found.acknowledged),
        "stored": len(found.stored),
        "stored_without_acknowledgement": len(found.stored - found.acknowledged),
        "posted_again_and_not_doubled": found.duplicates,
        "lost": len(found.acknowledged - found.stored),
        "doubled": sum(found.users.values()) - len(found.stored),
        "open_ms": {
            "p50": round(statistics.median(times), 2),
            "p95": round(times[int(0.95 * len(times))], 2),
            "largest": round(times[-1], 2),
        },
        "load_average": round(os.getloadavg()[1], 1),
    }


def main() -> None:
    """Runs the rounds and writes `docs/results/faults.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=4, help="threads that post")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument(
        "--url", default=None, help="an empty PostgreSQL database; left out: a new SQLite file"
    )
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing the file")
    parser.add_argument("--post", nargs=3, metavar=("URL", "ROUND", "THREADS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.post:
        post(given.post[0], int(given.post[1]), int(given.post[2]))
        return
    with tempfile.TemporaryDirectory(prefix="bowerbird-faults-") as folder:
        url = given.url or str(Path(folder) / "online.sqlite")
        try:
            figures = run(url, given.rounds, given.threads, given.seed)
        except FaultError as error:
            sys.exit(f"broken: {error}")
    database = "postgresql" if given.url else "sqlite"
    if given.print:
        print(json.dumps({"database": database, **figures}))
        return
    from results import write

    config = {"threads": given.threads, "seed": given.seed, "users": USERS}
    print(write("faults", None, config=config, database=database, **figures))


if __name__ == "__main__":
    main()
