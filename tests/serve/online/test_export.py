"""Posted, exported, in the store: every event once, however often it is run and wherever it is cut off."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from bowerbird.serve.online import OnlineError, OnlineEvent, OnlineHistory
from bowerbird.serve.online import export as exporting
from bowerbird.serve.online.export import Exported, append_to_store
from bowerbird.tables.errors import StoreError, TableError
from bowerbird.tables.store import Store, StoreWriter, build_store
from bowerbird.tables.view import View
from serve.online.conftest import NOW, Open

DAY = 86_400_000


def platform(path: Path, *, integers: bool = False, **settings: object) -> Store:
    """A store of two old events of one user, `ada` or 1."""
    user, items = (1, [10, 11]) if integers else ("ada", ["x", "y"])
    events = pl.DataFrame(
        {
            "user_id": [user] * 2,
            "item_id": items,
            "timestamp": [NOW - 2 * DAY, NOW - DAY],
            "actions": [["click"], ["save"]],
        }
    ).with_columns(surface=pl.lit("home"))
    given = {"actions": ["click", "save", "hide"], "dataset": "platform", **settings}
    return build_store(path, {"items": pl.DataFrame({"item_id": items}), "events": events}, **given)  # type: ignore[arg-type]


def posted(*numbers: int, user: str = "ada") -> list[OnlineEvent]:
    return [
        OnlineEvent(
            event_id=f"e{n}",
            user=user,
            item=f"i{n}",
            time=NOW - 1000 + n,
            actions=("click", "save")[: n % 3],
            surface="home" if n % 2 else None,
            request=f"r{n // 2}",
            position=n % 2,
            query="birds" if n == 3 else None,
        )
        for n in numbers
    ]


def seen(path: Path) -> list[tuple[object, ...]]:
    """All events of a store through a view, in raw values and in the view's order."""
    store = Store.open(path)
    rows = View(store).events.all()
    names = list(store.actions)
    return [
        (
            user, item, int(time), tuple(sorted(name for bit, name in enumerate(names) if int(mask) >> bit & 1)),
            surface, int(position), query,
        )
        for user, item, time, mask, surface, position, query in zip(
            store.users.decode(rows.user), store.items.decode(rows.item), rows.time, rows.actions,
            store.surfaces.decode(rows.surface), rows.position, store.queries.decode(rows.query), strict=True,
        )
    ]  # fmt: skip


def expected(events: list[OnlineEvent]) -> list[tuple[object, ...]]:
    ordered = sorted(events, key=lambda e: e.time)
    return [
        (e.user, e.item, e.time, tuple(sorted(e.actions)), e.surface or "default", e.position, e.query)
        for e in ordered
    ]


OLD = [
    ("ada", "x", NOW - 2 * DAY, ("click",), "home", -1, None),
    ("ada", "y", NOW - DAY, ("save",), "home", -1, None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    platform(tmp_path / "store")
    return tmp_path / "store"


def test_posted_events_reach_the_view_once_however_often_it_runs(history: OnlineHistory, path: Path) -> None:
    history.append(posted(1, 2, 3, 4, 5))
    assert append_to_store(history, path, chunk=2) == Exported(5, 5, 0, 5, 2)
    assert seen(path) == OLD + expected(posted(1, 2, 3, 4, 5))
    before = (path / "manifest.json").read_bytes()
    assert append_to_store(history, path) == Exported(0, 0, 0, 5, 2)
    assert (path / "manifest.json").read_bytes() == before
    history.append(posted(5, 6))
    assert append_to_store(history, path) == Exported(1, 1, 0, 6, 3)
    assert seen(path) == OLD + expected(posted(1, 2, 3, 4, 5, 6))


def test_a_slate_posted_in_parts_is_one_slate(history: OnlineHistory, path: Path) -> None:
    history.append(posted(2))
    append_to_store(history, path)
    history.append(posted(3))
    append_to_store(history, path)
    requests = View(Store.open(path)).events.request
    assert requests[-1] == requests[-2] >= 0 and (requests[:2] == -1).all()


def test_the_engine_reads_only_what_its_store_lacks(history: OnlineHistory, path: Path) -> None:
    older = Store.open(path)
    history.append(posted(1, 2))
    append_to_store(history, path)
    history.append(posted(3))
    newer = Store.open(path)
    assert history.exported(older) == 0 and history.exported(newer) == 2
    for store, missing in ((older, ["e1", "e2", "e3"]), (newer, ["e3"])):
        tail = history.tail("ada", 10, after=history.exported(store))
        assert [event.event_id for event in tail] == missing
        assert len(store.events) + len(tail) == len(OLD) + 3, "nothing twice, nothing missing"


def test_an_export_resumes_where_it_stopped(history: OnlineHistory) -> None:
    history.append(posted(*range(1, 8)))
    chunks = list(history.export(chunk=3))
    assert [chunk.high_water for chunk in chunks] == [3, 6, 7]
    rows = pl.concat([chunk.rows for chunk in chunks])
    assert rows["item_id"].to_list() == [f"i{n}" for n in range(1, 8)]
    for done in range(8):
        rest = [chunk.rows for chunk in history.export(after=done, chunk=2)]
        found = pl.concat([rows.head(done), *rest])
        assert found.equals(rows), done


def test_an_export_ends_where_it_began_however_much_arrives_meanwhile(history: OnlineHistory) -> None:
    history.append(posted(1, 2))
    found = 0
    for chunk in history.export(chunk=1):
        history.append(posted(chunk.high_water + 10))
        found += chunk.rows.height
    assert found == 2 and history.high_water() == 4


@pytest.mark.parametrize("cut", ["reading", "adding", "committing", "after the commit"])
def test_a_cut_off_export_loses_and_doubles_nothing(
    cut: str, history: OnlineHistory, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.append(posted(*range(1, 8)))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    commit = StoreWriter.commit

    def stop_after(writer: StoreWriter) -> None:
        commit(writer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if cut == "reading":
            patch.setattr(exporting, "normalise", stop)
        elif cut == "adding":
            patch.setattr(StoreWriter, "add_events", stop)
        else:
            patch.setattr(StoreWriter, "commit", stop if cut == "committing" else stop_after)
        with pytest.raises(KeyboardInterrupt):
            append_to_store(history, path, chunk=2)
    done = cut == "after the commit"
    assert seen(path) == OLD + (expected(posted(*range(1, 8))) if done else [])
    history.append(posted(8))
    assert append_to_store(history, path).events == (1 if done else 8)
    assert seen(path) == OLD + expected(posted(*range(1, 9)))


def test_a_store_made_afresh_gets_everything_again(history: OnlineHistory, path: Path) -> None:
    history.append(posted(1, 2))
    append_to_store(history, path)
    platform(path, overwrite=True)
    assert append_to_store(history, path).accepted == 2
    assert seen(path) == OLD + expected(posted(1, 2))


def test_new_users_items_and_surfaces_are_learnt(history: OnlineHistory, path: Path) -> None:
    history.append([OnlineEvent("a", "eve", "unheard of", NOW, ("hide",), "search")])
    append_to_store(history, path)
    assert seen(path)[-1] == ("eve", "unheard of", NOW, ("hide",), "search", -1, None)


def test_late_events_take_their_place_by_time(history: OnlineHistory, path: Path) -> None:
    history.append([OnlineEvent("a", "ada", "between", NOW - DAY - 1)])
    append_to_store(history, path)
    assert [row[1] for row in seen(path)] == ["x", "between", "y"]


def test_events_equal_in_every_column_are_one_in_a_store(history: OnlineHistory, path: Path) -> None:
    twins = [OnlineEvent(name, "ada", "i", NOW, ("click",), "home") for name in ("a", "b")]
    again = OnlineEvent("c", "ada", "x", NOW - 2 * DAY, ("click",), "home")
    assert history.append([*twins, again]).accepted == 3
    assert append_to_store(history, path) == Exported(3, 1, 2, 3, 2)
    assert Counter(row[1] for row in seen(path)) == {"x": 1, "y": 1, "i": 1}


def test_integer_ids(opened: Open, tmp_path: Path) -> None:
    store = platform(tmp_path / "store", integers=True)
    history = opened(id_types=store.manifest.id_types)
    history.append([OnlineEvent("a", "1", 12, NOW, ("click",), "home")])
    append_to_store(history, store.path)
    assert seen(store.path)[-1][:2] == (1, 12) and Store.open(store.path).n_users == 1


def test_a_history_of_other_ids_or_actions_is_refused(
    history: OnlineHistory, path: Path, tmp_path: Path
) -> None:
    history.append(posted(2))
    numbers = platform(tmp_path / "numbers", integers=True)
    with pytest.raises(
        OnlineError, match="item ids of the store are integers, those of the online history strings"
    ):
        append_to_store(history, numbers.path)
    build_store(tmp_path / "few", {"items": pl.DataFrame({"item_id": ["x"]})}, actions=["click"])
    with pytest.raises(TableError, match="action is not declared"):
        append_to_store(history, tmp_path / "few")
    assert Store.open(tmp_path / "few").manifest.generation == 1
    with pytest.raises(StoreError, match="does not exist"):
        append_to_store(history, tmp_path / "nowhere")


def test_a_database_put_back_from_an_older_copy_is_noticed(tmp_path: Path, path: Path) -> None:
    file = tmp_path / "online.sqlite"
    with OnlineHistory.for_store(file, Store.open(path)) as history:
        history.append(posted(1))
    copy = file.read_bytes()
    with OnlineHistory.for_store(file, Store.open(path)) as history:
        history.append(posted(2, 3))
        append_to_store(history, path)
    file.write_bytes(copy)
    with OnlineHistory.for_store(file, Store.open(path)) as history:
        for check in (lambda: append_to_store(history, path), lambda: history.exported(Store.open(path))):
            with pytest.raises(
                OnlineError, match="up to number 3, but it reaches 1: the database was replaced"
            ):
                check()


def test_for_store_takes_what_the_store_says(path: Path, tmp_path: Path) -> None:
    with OnlineHistory.for_store(tmp_path / "online.sqlite", Store.open(path)) as history:
        assert history.id_types == {"user": "string", "item": "string"}
        with pytest.raises(Exception, match="unknown surface 'hme'; did you mean 'home'"):
            history.append([OnlineEvent("a", "ada", "x", NOW, (), "hme")])
        assert history.append(posted(1, 2, 3)).accepted == 3


def test_the_command(url: str, opened: Open, path: Path) -> None:
    from bowerbird.cli.main import app

    def run(*words: object):  # type: ignore[no-untyped-def]
        return CliRunner().invoke(app, ["online", "export", *map(str, words)])

    opened().append(posted(1, 2))
    first = run("--online", url, "--store", path)
    assert first.exit_code == 0 and "2 events, 2 new" in first.stderr, first.output
    second = run("--online", url, "--store", path, "--json")
    assert json.loads(second.stdout) == {
        "events": 0, "accepted": 0, "duplicates": 0, "high_water": 2, "generation": 2,
    }  # fmt: skip
    assert seen(path) == OLD + expected(posted(1, 2))
    wrong = run("--online", path / "nothing.sqlite", "--store", path)
    assert wrong.exit_code == 2 and "no such file" in wrong.stderr
    assert "bowerbird online export" in " ".join(run("--help").stdout.split("Examples")[1].split())
