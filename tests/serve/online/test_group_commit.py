"""Appends that wait together share a transaction, and each gets its own receipt."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event as sqlalchemy_event

from bowerbird.serve.online import OnlineError, OnlineEvent, OnlineHistory, Receipt
from bowerbird.serve.online.committer import Committer
from bowerbird.serve.online.rules import Row
from serve.online.conftest import NOW


def row(name: str) -> Row:
    return Row(name, "u", "i", NOW, "", None, None, None, None)


class Slow:
    """A writer that waits in its first transaction until told to go on, and fails where told to."""

    def __init__(self) -> None:
        self.go, self.inside = threading.Event(), threading.Event()
        self.transactions: list[list[str]] = []
        self.fails: dict[str, Exception] = {}

    def __call__(self, appends: Sequence[Sequence[Row]]) -> list[Receipt]:
        names = [one.event_id for rows in appends for one in rows]
        self.transactions.append(names)
        self.inside.set()
        assert self.go.wait(10)
        for name in names:
            if name in self.fails:
                raise self.fails[name]
        return [Receipt(accepted=len(rows)) for rows in appends]


def gathered(slow: Slow, committer: Committer, names: Sequence[str]) -> list[Receipt | BaseException]:
    """Appends `first`, lets `names` gather behind it while it waits for the disk, then lets all go."""
    with ThreadPoolExecutor(32) as pool:
        first = pool.submit(committer.commit, [row("first")])
        assert slow.inside.wait(10)
        rest = []
        for number, name in enumerate(names, 2):
            rest.append(pool.submit(committer.commit, [row(name)]))
            while committer.waiting < number:
                threading.Event().wait(0.001)
        slow.go.set()
        found = [one.exception() or one.result() for one in rest]
        assert first.result() == Receipt(accepted=1)
    committer.close()
    return found


def test_what_waits_for_the_disk_shares_the_next_transaction() -> None:
    slow = Slow()
    names = [f"e{number}" for number in range(15)]
    assert gathered(slow, Committer(slow), names) == [Receipt(accepted=1)] * 15
    assert slow.transactions == [["first"], names], "in the order in which they came"


def test_a_transaction_is_bounded() -> None:
    slow = Slow()
    gathered(slow, Committer(slow, most_rows=4), [f"e{number}" for number in range(10)])
    assert [len(one) for one in slow.transactions] == [1, 4, 4, 2]


def test_too_much_waiting_is_refused_at_once_and_to_be_tried_again() -> None:
    slow = Slow()
    committer = Committer(slow, most_waiting=3)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(committer.commit, [row("a"), row("b")])
        assert slow.inside.wait(10)
        with pytest.raises(OnlineError, match="2 events wait for the disk already") as caught:
            committer.commit([row("c"), row("d")])
        assert caught.value.retry_after
        last = pool.submit(committer.commit, [row("c")])
        slow.go.set()
        assert first.result().accepted == 2 and last.result().accepted == 1
    assert committer.commit([row(f"e{number}") for number in range(9)]).accepted == 9, (
        "alone, any size is fine"
    )
    committer.close()
    assert committer.waiting == 0


def test_a_refused_append_does_not_take_the_others_along() -> None:
    slow = Slow()
    slow.fails["bad"] = OnlineError("it cannot be kept")
    committer = Committer(slow)
    good, bad, fine = gathered(slow, committer, ["good", "bad", "fine"])
    assert good == fine == Receipt(accepted=1)
    assert isinstance(bad, OnlineError) and bad.retry_after is None
    assert slow.transactions == [["first"], ["good", "bad", "fine"], ["good"], ["bad"], ["fine"]]
    assert committer.problem is None, "the last transaction went well"


def test_a_passing_fault_fails_all_at_once_without_trying_each() -> None:
    slow = Slow()
    slow.fails["two"] = OnlineError("it is locked", retry_after=1.0)
    committer = Committer(slow)
    found = gathered(slow, committer, ["one", "two"])
    assert [getattr(one, "retry_after", None) for one in found] == [1.0, 1.0]
    assert found[0] is not found[1] and len(slow.transactions) == 2
    assert committer.problem == "it is locked"


def test_a_bug_in_the_writer_reaches_the_caller_and_the_thread_lives_on() -> None:
    slow = Slow()
    slow.fails["broken"] = ZeroDivisionError("secret")
    slow.go.set()
    committer = Committer(slow)
    with pytest.raises(OnlineError, match=r"unexpectedly \(ZeroDivisionError\)") as caught:
        committer.commit([row("broken")])
    assert "secret" not in str(caught.value)
    assert committer.commit([row("fine")]) == Receipt(accepted=1)
    committer.close()


def test_threads_share_the_flushes_of_a_real_database(history: OnlineHistory) -> None:
    commits = []
    sqlalchemy_event.listen(history._database.engine, "commit", commits.append)

    def post(thread: int) -> int:
        one = [OnlineEvent(f"{thread}-{n}", f"u{n % 3}", f"i{thread}", NOW - 5000 + n) for n in range(20)]
        return sum(history.append([event]).accepted for event in one)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(post, range(8))) == 160
    assert 20 <= len(commits) < 160
    found = [event for user in ("u0", "u1", "u2") for event in history.tail(user, 1000)]
    assert sorted(event.sequence for event in found) == list(range(1, 161)), "numbers without gaps"
    for user in ("u0", "u1", "u2"):
        times = [event.time for event in history.tail(user, 1000)]
        assert times == sorted(times) and len(times) == history.version(user).events


def test_closing_commits_what_waits(history: OnlineHistory, opened) -> None:  # type: ignore[no-untyped-def]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(history.append, [OnlineEvent(f"e{n}", "ada", "x", NOW)]) for n in range(8)]
        assert all(one.result().accepted for one in waiting)
    history.close()
    assert opened().version("ada") == (8, 0)
