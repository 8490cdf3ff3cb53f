"""A published release answers what its artifact answers, live signals included, also on a store that grew since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bowerbird.index import Index, VectorIndexError
from bowerbird.learn.artifact import Artifact
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.retriever import Retriever, _renewed
from bowerbird.serve.engine import Engine
from bowerbird.serve.generators.opening import open_generator
from bowerbird.serve.releases import Release, Releases, publish
from bowerbird.serve.request import Request
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import View
from serve.releases.conftest import TINY, fitted
from serve.world import DAY, START, events, items

HOUR = 3_600_000


def retriever(artifact: Artifact, store: Store, index: Index | None = None) -> Retriever:
    return Retriever(OpenPinRec.open(artifact, View(store)), index=index)


def assert_equal_answers(one: Retriever, two: Retriever, store: Store) -> None:
    """For all users with a history at the end of the log, for two outcomes and with exclusions; and similar items."""
    users = one.opened.view.users
    tokens = one.opened.histories(users)
    users = users[tokens.lengths.numpy() > 0]
    plan, now = Plan(outcomes={"any": 0.6, "click": 0.4}), np.full(len(users), one.opened.view.end_time)
    left, right = (
        found.fetch(
            found.opened.histories(users), plan, 8, surface=np.ones(len(users), np.int64), time=now,
            exclude=[np.array([user % 7]) for user in users],
        )
        for found in (one, two)
    )  # fmt: skip
    for mine, other in zip(left.merged, right.merged, strict=True):
        assert len(mine.item) > 3
        assert_array_equal(mine.item, other.item)
        assert_allclose(mine.score, other.score, atol=1e-4)
    near, same = (found.similar(np.arange(0, store.n_items, 5), 6) for found in (one, two))
    assert_array_equal(near[0], same[0])
    assert_allclose(near[1], same[1], atol=1e-5)


def test_a_release_answers_like_its_artifact(
    published: tuple[Path, Release, Release], models: tuple[Path, Path], store: Store
) -> None:
    root, release, _ = published
    opened = Releases(root).open(release.id, store)
    assert opened.learner == "pinrec" and opened.metrics == {"ndcg@10": 0.25}
    mine = retriever(opened.artifact, store, opened.index)
    assert_equal_answers(mine, retriever(Artifact.load(models[0]), store), store)


def test_an_engine_on_a_release_answers_like_one_on_its_artifact(
    published: tuple[Path, Release, Release], models: tuple[Path, Path], store: Store
) -> None:
    root, release, _ = published
    served = Engine(store, Releases(root).open(release.id, store).generator())
    direct = Engine(store, open_generator(models[0], store))
    for user in ("u00", "u03", "u11", "nobody"):
        mine, other = (engine.recommend(Request(user=user, k=7)) for engine in (served, direct))
        assert mine.stage == other.stage == ("popularity" if user == "nobody" else "model")
        assert [entry.item.id for entry in mine.items] == [entry.item.id for entry in other.items]
        assert_allclose([e.score for e in mine.items], [e.score for e in other.items], atol=1e-4)
        assert mine.release == release.id != other.release


def test_serving_what_was_published_changes_no_row(
    published: tuple[Path, Release, Release], store: Store
) -> None:
    """The index stays memory-mapped: nothing in it was replaced."""
    opened = Releases(published[0]).open(published[1].id, store)
    vectors = opened.index._vectors  # type: ignore[attr-defined]
    assert isinstance(vectors, np.memmap)
    retriever(opened.artifact, store, opened.index)
    assert opened.index._vectors is vectors  # type: ignore[attr-defined]


def grown(folder: Path) -> Store:
    """The two circles, then a second load: new films, a new title, new users, new events."""
    tables = {"items": items(), "events": events()}
    build_store(
        folder, tables, actions=["click", "save", "hide"], negative_actions=["hide"],
        item_roles={"title": "title"}, dataset="two circles", slate_rule="none",
    )  # fmt: skip
    catalogue = pl.DataFrame(
        {
            "item_id": ["g00", "g01", "f03"],
            "title": ["The Sea again", "The Town again", "Quite another title"],
            "genres": [["Sea"], ["Town"], ["Town", "Comedy"]],
            "year": [2020, 2021, 1990],
        }
    )
    rows = [
        (f"v{n % 5}", f"f{n % 9:02d}" if n % 2 else "g00", START + (60 + n) * DAY, ["click"])
        for n in range(20)
    ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    return build_store(
        folder, {"items": catalogue, "events": log.with_columns(surface=pl.lit("home"))}, append=True
    )


def test_on_a_store_that_grew_it_answers_like_its_artifact_too(
    published: tuple[Path, Release, Release], models: tuple[Path, Path], store: Store, tmp_path: Path
) -> None:
    root, release, _ = published
    later = grown(tmp_path / "store")
    assert later.n_items == store.n_items + 2 and later.n_users > store.n_users
    opened = Releases(root).open(release.id, later, verify=True)
    mine = retriever(opened.artifact, later, opened.index)
    assert len(mine.index) == len(Index.open(release.path / "index")) + 2
    assert_equal_answers(mine, retriever(Artifact.load(models[0]), later), later)
    Releases(root).verify(release.id, later)  # the files stayed as they were


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model with a trend and live next items, and its store: what follows an item changes every six hours."""
    folder = tmp_path_factory.mktemp("live")
    store = _drifting(folder / "store", range(40))
    config = replace(
        TINY, trend_half_lives_hours=(1.0,), trend_step_minutes=10.0, transition_half_lives_hours=(1.0, 8.0),
        blend_hours=8.0,
    )  # fmt: skip
    return fitted(store, folder / "model", config), folder / "store"


def _drifting(folder: Path, hours: range, *, append: bool = False) -> Store:
    rng = np.random.default_rng(hours.start)
    rows = []
    for hour in hours:
        for visit in range(10):
            item, start = int(rng.integers(12)), hour * HOUR + int(rng.integers(50)) * 60_000
            for step in range(3):
                user = f"u{hour}-{visit}"
                rows.append((user, f"i{item}", start + step * 60_000, user, ["click"]))
                item = (item + 1 + hour // 6) % 12
    schema = ["user_id", "item_id", "timestamp", "request_id", "actions"]
    tables = {"events": pl.DataFrame(rows, schema=schema, orient="row")}
    if append:
        return build_store(folder, tables, append=True)
    return build_store(folder, tables, actions=["click"], slate_rule="given", dataset="live")


def test_live_signals_survive_publishing_and_follow_the_store(live: tuple[Path, Path]) -> None:
    """The trend is a dimension of the index and belongs to one moment: on a later store it must be the later one."""
    model, path = live
    store = Store.open(path)
    release = publish(model, store, path)
    releases = Releases(path)
    opened, artifact = releases.open(release.id, store), Artifact.load(model)
    assert opened.index.dim == TINY.item_dim + 1, "the trend's dimension"
    assert_equal_answers(retriever(artifact, store, opened.index), retriever(artifact, store), store)

    later = _drifting(path, range(40, 50), append=True)
    after = retriever(artifact, later, releases.open(release.id, later).index)
    assert_equal_answers(after, retriever(artifact, later), later)
    stale = Index.open(release.path / "index")
    moved = after.index.vectors(stale.ids) - stale.vectors(stale.ids)
    assert np.abs(moved[:, -1]).max() > 0.01, "the trend moved on"
    assert np.abs(moved[:, :-1]).max() < 1e-5, "the items stayed where they were"
    assert publish(model, later, path).id != release.id, "a later state is another release"


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_taking_over_an_index_leaves_exactly_the_rows_wanted(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    old, ids = rng.normal(size=(80, 6)).astype(np.float32), np.arange(80) * 3
    Index.build(old, ids, kind=kind).save(tmp_path / "index")  # type: ignore[arg-type]
    same = Index.open(tmp_path / "index")
    added: list[np.ndarray] = []
    same.add = lambda vectors, ids: added.append(ids)  # type: ignore[assignment]
    assert _renewed(same, old, ids) is same and not added, "rounding of stored codes is no difference"

    wanted, kept = old[10:].copy(), ids[10:]
    wanted[5] += 0.5
    wanted[6, 2] *= 1.01
    wanted = np.concatenate([wanted, rng.normal(size=(7, 6)).astype(np.float32)])
    kept = np.concatenate([kept, np.arange(7) * 3 + 1])
    order = np.argsort(kept)
    index = _renewed(Index.open(tmp_path / "index"), wanted[order], kept[order])
    assert_array_equal(index.ids, kept[order])
    assert_allclose(index.vectors(kept), wanted, rtol=2e-3 if kind == "ivf" else 1e-6, atol=1e-6)
    queries = rng.normal(size=(4, 6)).astype(np.float32)
    assert_array_equal(
        index.search(queries, len(kept)).ids[:, 0],
        Index.build(wanted, kept, kind="exact").search(queries, 1).ids[:, 0],
    )
    assert_array_equal(Index.open(tmp_path / "index").ids, ids, "the files stay as they were")


def test_an_index_of_another_model_is_refused() -> None:
    index = Index.build(np.eye(4, dtype=np.float32))
    with pytest.raises(VectorIndexError, match=r"dimension 4, this model makes 5.*publish"):
        _renewed(index, np.ones((4, 5), np.float32), np.arange(4))
