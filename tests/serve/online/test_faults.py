"""Locked, full, read-only, damaged, gone: a clear refusal, nothing half written, and service when the cause is gone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from bowerbird.serve.online import OnlineError, OnlineEvent, OnlineHistory
from bowerbird.serve.online.database import Database
from bowerbird.serve.online.errors import explain
from serve.online.conftest import ACTIONS, NOW, Open


def event(name: str, **fields: object) -> OnlineEvent:
    return OnlineEvent(**{"event_id": name, "user": "ada", "item": "x", "time": NOW, **fields})  # type: ignore[arg-type]


def refused(history: OnlineHistory, says: str, name: str = "refused", **fields: object) -> OnlineError:
    """An append that fails, leaves nothing behind, and shows in the health until a write succeeds."""
    before = history.read("ada", 1000)
    with pytest.raises(OnlineError, match=says) as caught:
        history.append([event(name, **fields)])
    assert history.read("ada", 1000) == before
    health = history.health()
    assert not health.ok and health.problem == caught.value.reason
    return caught.value


def serves_again(history: OnlineHistory, name: str = "refused") -> None:
    assert history.append([event(name)]).accepted == 1
    assert history.health().ok and history.tail("ada", 1)[0].event_id == name


@contextlib.contextmanager
def held(history: OnlineHistory) -> Iterator[None]:
    """Another process writes and does not finish."""
    with history._database.engine.connect() as other:
        other = other.execution_options(bowerbird_writes=True)
        with other.begin():
            other.exec_driver_sql("UPDATE bowerbird_online SET sequence = sequence")
            yield


def test_a_locked_database_is_refused_and_readable_meanwhile(opened: Open) -> None:
    history = opened(lock_seconds=0.1)
    history.append([event("first")])
    with held(history):
        error = refused(history, "locked by another process")
        assert error.retry_after == 1.0
        assert [one.event_id for one in history.tail("ada", 9)] == ["first"]
    serves_again(history)


def test_a_short_lock_is_waited_for(opened: Open) -> None:
    history = opened(lock_seconds=10)
    done: list[int] = []
    poster = threading.Thread(target=lambda: done.append(history.append([event("e")]).accepted))
    with held(history):
        poster.start()
        poster.join(0.1)
        assert not done
    poster.join(10)
    assert done == [1]


def sqlite_history(path: Path, **settings: object) -> OnlineHistory:
    return OnlineHistory.open(path, actions=ACTIONS, clock=lambda: NOW, **settings)  # type: ignore[arg-type]


def on_every_connection(history: OnlineHistory, pragma: str) -> None:
    """Runs a pragma on every connection before it is used: connections of a pool share nothing else."""

    @sqlalchemy.event.listens_for(history._database.engine, "checkout")
    def taken(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(pragma)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    with sqlite_history(tmp_path / "online.sqlite") as history:
        history.append([event("first")])
        on_every_connection(history, "PRAGMA max_page_count=1")  # SQLite takes its present size instead
        for number in range(30):
            try:
                history.append([event(f"e{number}", query="q" * 1000)])
            except OnlineError:
                break
        error = refused(history, "the disk is full; nothing was written", query="q" * 1000)
        assert error.retry_after == 30.0
        on_every_connection(history, "PRAGMA max_page_count=1000000")
        serves_again(history)


def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], capture_output=True, check=False
    ).returncode  # fmt: skip
    if not mounted:
        pytest.skip("mounting a small disk needs root")
    try:
        with sqlite_history(disk / "online.sqlite") as history:
            history.append([event("first")])
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4096)
            error = refused(history, "disk (failed or )?is full|disk failed or is full", query="q" * 1000)
            assert error.retry_after == 30.0
            filler.unlink()
            serves_again(history)
            assert [one.event_id for one in history.tail("ada", 9)] == ["first", "refused"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_database_that_became_read_only(tmp_path: Path) -> None:
    with sqlite_history(tmp_path / "online.sqlite") as history:
        history.append([event("first")])
        on_every_connection(history, "PRAGMA query_only=ON")
        assert refused(history, "read-only. Make the file and its folder writable").retry_after is None
        on_every_connection(history, "PRAGMA query_only=OFF")
        serves_again(history)


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(OnlineError, match="Check that its folder exists and is writable"):
        sqlite_history(Path("/proc/self/bowerbird/online.sqlite"))  # not even root can make a folder there


def test_a_missing_file_is_made_only_where_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "online.sqlite"
    with pytest.raises(OnlineError, match="no such file"):
        sqlite_history(path, create=False)
    assert not path.parent.exists()
    sqlite_history(path).close()
    assert path.stat().st_mode & 0o077 == 0, "what people did is nobody else's to read"
    sqlite_history(path, create=False).close()
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(OnlineError, match="no server ever wrote"):
        sqlite_history(tmp_path / "empty.sqlite", create=False)


def test_files_that_are_no_history(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database, " * 100)
    with pytest.raises(OnlineError, match="no SQLite database"):
        sqlite_history(text)
    assert text.read_text().startswith("not a database")
    with pytest.raises(OnlineError, match="Is a directory"):
        sqlite_history(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "online.sqlite"
    with sqlite_history(path) as history:
        for number in range(3):
            history.append([event(f"{number}-{n}", query="q" * 900) for n in range(50)])
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(OnlineError, match="damaged"), sqlite_history(path) as history:
        history.append([event("new")])


def test_a_history_of_another_version(opened: Open) -> None:
    first = opened()
    with first._database.writing() as connection:
        connection.exec_driver_sql("UPDATE bowerbird_online SET schema_version = 2")
    first.close()
    with pytest.raises(OnlineError, match="schema version 2, this program reads 1"):
        opened()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://root:hunter2@host/db", "'mysql' is not supported"),
        ("sqlite:///:memory:", "plain path of a file"),
        ("sqlite://", "plain path of a file"),
        ("://hunter2", "cannot be read"),
        ("nonsense+driver://x", "cannot be read|not supported"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(OnlineError, match=says) as caught:
        Database(url)
    assert "hunter2" not in str(caught.value)


def test_no_server_at_the_address_and_no_password_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(OnlineError, match="does not answer") as caught:
        OnlineHistory.open(f"postgresql://ada:hunter2@/db?host={tmp_path}", actions=ACTIONS)
    assert caught.value.retry_after and "hunter2" not in str(caught.value)
    assert str(tmp_path) not in caught.value.reason, "clients see the reason"


def test_a_server_that_cuts_its_connections(postgresql_url: str, opened: Open) -> None:
    history = opened(url=postgresql_url)
    history.append([event("first")])
    with sqlalchemy.create_engine(postgresql_url.replace("://", "+psycopg://")).connect() as admin:
        admin.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    serves_again(history, "second")


def test_a_server_that_cuts_a_connection_inside_a_transaction(postgresql_url: str, opened: Open) -> None:
    history = opened(url=postgresql_url)
    cut: list[bool] = []

    @sqlalchemy.event.listens_for(history._database.engine, "before_cursor_execute")
    def cut_once(connection: sqlalchemy.Connection, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO bowerbird_events") and not cut:
            cut.append(True)
            connection.connection.dbapi_connection.close()  # type: ignore[union-attr]

    error = refused(history, "post them again with the same event ids")
    assert error.retry_after == 2.0 and cut
    serves_again(history)


@pytest.mark.parametrize(
    ("state", "says", "retry"),
    [
        ("55P03", "locked", 1.0),
        ("53100", "disk of the database server is full", 30.0),
        ("53300", "short of resources", 5.0),
        ("25006", "read-only", 5.0),
        ("57P01", "stopping", 2.0),
        ("08006", "connection to the database server broke", 2.0),
        ("28P01", "refuses this user", None),
        ("3D000", "no such database", None),
        ("XX000", "SQLSTATE XX000", None),
    ],
)
def test_what_a_server_says_is_told_in_words(state: str, says: str, retry: float | None) -> None:
    origin = RuntimeError("password=hunter2")
    origin.sqlstate = state  # type: ignore[attr-defined]
    error = explain(OperationalError("INSERT", {}, origin), "here")
    assert says in str(error) and error.retry_after == retry and "hunter2" not in str(error)


def test_many_open_a_new_database_at_once(url: str) -> None:
    found: list[str] = []
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            with OnlineHistory.open(url, actions=ACTIONS, lock_seconds=20) as history:
                found.append(history.name)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(found) == 6 and len(set(found)) == 1


def test_sqlite_flushes_every_commit(tmp_path: Path) -> None:
    with sqlite_history(tmp_path / "online.sqlite") as history:
        with history._database.writing() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2, "FULL"
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        other = sqlite3.connect(tmp_path / "online.sqlite")
        history.append([event("e")])
        assert other.execute("SELECT count(*) FROM bowerbird_events").fetchone() == (1,)
        other.close()
