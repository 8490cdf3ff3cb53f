"""Mutation test of the wall: each kind of leak is injected into a read that is otherwise right, and must be caught.

Every entry is a pair: a read as it should be, which the audit must pass, and the same read with one leak, which it
must fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.errors import ConfigError, WallError
from bowerbird.tables.view import BlendedExamples, LastOut, SlateFilter, TimeWall, TrendTable, View
from bowerbird.tables.view.leaks import LeakError, RequestInputs, audit, audit_requests

from .world import world

WALLS = [TimeWall(100), TimeWall(187), LastOut(2)]


class LeakyView(View):
    """A view whose wall has a hole: everything of every user is visible to what asks for `_open`."""

    @property
    def _open(self) -> View:
        return View(self._store)


@dataclass(frozen=True)
class Pair:
    right: Callable[[Any], Any]
    wrong: Callable[[Any], Any]


def histories(view: View, source: View) -> Any:
    return source.histories(view.users, 20)


def normaliser(events: Any) -> dict[str, float]:
    log_time = np.log1p(events.time.astype(np.float64) + 1)
    return {"mean": float(log_time.mean()), "std": float(log_time.std())}


def negatives(counts: np.ndarray) -> np.ndarray:
    weight = (counts + 1) ** 0.75
    return np.random.default_rng(0).choice(len(counts), 500, p=weight / weight.sum())


def cooccurrence(events: Any, n_items: int) -> np.ndarray:
    """Item-item edges: items of one user, one after the other."""
    same = events.user[1:] == events.user[:-1]
    key = events.item[:-1][same].astype(np.int64) * n_items + events.item[1:][same]
    return np.unique(key, return_counts=True)[0]


def boxed_trends(view: View, own_step: bool) -> np.ndarray:
    """Trends at the wall; with `own_step` a cell takes the whole grid step around it."""
    step = 30
    rows = (view._open if own_step else view).positives  # type: ignore[attr-defined]
    item, time = rows.item, rows.time
    moment = view.end_time // step * step + (step if own_step else 0)
    keep = time < moment
    table = TrendTable([(item[keep], time[keep])], n_items=view.n_items, half_lives_ms=[50], step_ms=step)
    return table.row(moment)


EVENT_LEAKS = {
    "future events in a history": Pair(lambda v: histories(v, v), lambda v: histories(v, v._open)),
    "item popularity over all time": Pair(
        lambda v: v.item_counts(), lambda v: np.bincount(v._store.events.item, minlength=v.n_items)
    ),
    "vocabulary counts": Pair(
        lambda v: int(np.unique(v.events.item).size), lambda v: int(np.unique(v._store.events.item).size)
    ),
    "known items": Pair(lambda v: v.known_items(), lambda v: v._open.known_items()),
    "a normaliser fitted on all rows": Pair(
        lambda v: normaliser(v.events), lambda v: normaliser(v._store.events)
    ),
    "a negative sampler's counts": Pair(
        lambda v: negatives(v.item_counts()), lambda v: negatives(v._open.item_counts())
    ),
    "a user created by future events": Pair(
        lambda v: v.users, lambda v: np.flatnonzero(np.asarray(v._store.events.user_count))
    ),
    "an edge between items of one history": Pair(
        lambda v: cooccurrence(v.events, v.n_items), lambda v: cooccurrence(v._open.events, v.n_items)
    ),
    "a trend over all time": Pair(
        lambda v: v.trends([40, 400], 10).row(260), lambda v: v._open.trends([40, 400], 10).row(260)
    ),
    "slates with rows of the future": Pair(lambda v: v.slates(), lambda v: v._open.slates()),
    "a count of all rows": Pair(lambda v: v.n_events, lambda v: int(v._store.events.user_count.sum())),
    "a mean weight over all rows": Pair(
        lambda v: float(v.events.weight.mean()), lambda v: float(v._store.events.weight.mean())
    ),
}

DATED_LEAKS = {
    "a graph edge of the future": Pair(
        lambda v: v.links("also bought"),
        lambda v: v._store.table("links").filter(pl.col("relation") == "also bought"),
    ),
    "a list filled later": Pair(lambda v: v.collections(), lambda v: v._store.table("collections")),
    "features of items created later": Pair(lambda v: v.item_table(), lambda v: v._store.item_table),
    "a category count over items created later": Pair(
        lambda v: v.item_table().frame["kind"].value_counts(sort=True, parallel=False).sort("kind"),
        lambda v: v._store.item_table.frame["kind"].value_counts(sort=True, parallel=False).sort("kind"),
    ),
    "a trend cell that includes its own step": Pair(
        lambda v: boxed_trends(v, False), lambda v: boxed_trends(v, True)
    ),
}


@pytest.mark.parametrize("wall", WALLS, ids=str)
@pytest.mark.parametrize("name", EVENT_LEAKS)
def test_a_leak_through_events_is_caught_and_the_right_read_passes(name, wall):
    for seed in (0, 1):
        store = world(seed)
        fine = audit(EVENT_LEAKS[name].right, store, wall, seed, view_class=LeakyView)
        assert fine.passed, (name, fine.leaks)
        assert not audit(EVENT_LEAKS[name].wrong, store, wall, seed, view_class=LeakyView).passed, name


@pytest.mark.parametrize("wall", [w for w in WALLS if isinstance(w, TimeWall)], ids=str)
@pytest.mark.parametrize("name", DATED_LEAKS)
def test_a_leak_through_dated_tables_is_caught_and_the_right_read_passes(name, wall):
    for seed in (0, 1):
        store = world(seed)
        fine = audit(DATED_LEAKS[name].right, store, wall, seed, view_class=LeakyView)
        assert fine.passed, (name, fine.leaks)
        assert not audit(DATED_LEAKS[name].wrong, store, wall, seed, view_class=LeakyView).passed, name


@pytest.mark.parametrize("wall", [*WALLS, TimeWall(3)], ids=str)
def test_everything_a_view_offers_passes(wall):
    def read(view: View) -> dict[str, Any]:
        source = BlendedExamples(
            view, history_length=5, slate_size=2, batch_size=16, filters=SlateFilter(min_history=0)
        )
        return {
            "events": view.events,
            "positives": view.positives.all(),
            "users": view.users,
            "visible": view.visible,
            "end": view.end_time,
            "histories": view.histories(view.users, 9, positives_only=False),
            "slates": view.slates(gap_ms=3),
            "singles": list(view.slates(surfaces=["home"])),
            "counts": [view.item_counts(action=a) for a in range(3)],
            "known": view.known_items(),
            "items": view.item_table(),
            "links": view.links(),
            "lists": view.collections(undated=False),
            "trends": view.trends([5, 500], 7),
            "examples": list(source.epoch(1)),
            "offset": source.log_odds_offset(),
            "inner": view.held_out(view.narrow(TimeWall(2))),
            "evaluation": view.with_evaluation_rows().events.row if isinstance(wall, TimeWall) else None,
        }

    for seed in range(3):
        audit(read, world(seed), wall, seed).demand()


# ------------------------------------------------------------ leaks inside an example


def request_inputs(view: View, *, end: str = "strict", trend: str = "strict") -> RequestInputs:
    """Inputs of every slate of a view: its history, and the trend of the history's last item."""
    parts = []
    table = view.trends([30, 300], 10)
    for batch in view.slates().batches(64):
        ends = {
            "strict": batch.history_end,
            "same moment": view.rows_before(batch.user, batch.time + 1),
            "whole slate": batch.row.max(axis=1) + 1,
        }[end]
        history = view.histories(batch.user, 6, end=ends, positives_only=True)
        moment = {"strict": batch.time, "own step": batch.time + 10}[trend]
        last = history.item[np.arange(len(batch)), np.maximum(history.lengths - 1, 0)]
        parts.append((batch, history, table.at(moment, last)))
    return RequestInputs(
        key=np.concatenate([np.stack([b.user, b.request], axis=1) for b, *_ in parts]),
        time=np.concatenate([b.time for b, *_ in parts]),
        inputs={
            "item": np.concatenate([h.item for _, h, _ in parts]),
            "actions": np.concatenate([h.actions for _, h, _ in parts]),
            "lengths": np.concatenate([h.lengths for _, h, _ in parts]),
            "trend": np.concatenate([t for *_, t in parts]),
        },
    )


REQUEST_LEAKS = {
    "the slate's own outcome inside its history": {"end": "whole slate"},
    "events of the slate's own millisecond": {"end": "same moment"},
    "a trend cell that includes its own step": {"trend": "own step"},
}


@pytest.mark.parametrize("name", REQUEST_LEAKS)
def test_a_leak_inside_an_example_is_caught_and_the_right_inputs_pass(name):
    for seed in (0, 1):
        store = world(seed)
        fine = audit_requests(request_inputs, store, seed=seed)
        assert fine.passed, fine.leaks
        broken = audit_requests(lambda v: request_inputs(v, **REQUEST_LEAKS[name]), store, seed=seed)
        assert not broken.passed, name


def test_popularity_over_the_whole_training_view_leaks_into_examples():
    def read(view: View, *, leak: bool) -> RequestInputs:
        found = request_inputs(view)
        shares = view.item_counts().astype(np.float64)
        moments = found.time
        if not leak:
            counts = {int(t): view.item_counts(until=int(t)) for t in np.unique(moments)}
            shares_at = np.stack([counts[int(t)] for t in moments])
        else:
            shares_at = np.broadcast_to(shares, (len(moments), len(shares)))
        return RequestInputs(found.key, moments, {"share": shares_at[:, :5].copy()})

    store = world(0)
    assert audit_requests(lambda v: read(v, leak=False), store).passed
    assert not audit_requests(lambda v: read(v, leak=True), store).passed


def test_blended_examples_pass_the_request_audit():
    def read(view: View) -> RequestInputs:
        source = BlendedExamples(view, history_length=6, slate_size=3, batch_size=32, keep_empty=0.5)
        batches = list(source.epoch(0))
        return RequestInputs(
            key=np.concatenate([np.stack([b.slate.user, b.slate.request], axis=1) for b in batches]),
            time=np.concatenate([b.slate.time for b in batches]),
            inputs={
                "item": np.concatenate([b.history.item for b in batches]),
                "actions": np.concatenate([b.history.actions for b in batches]),
                "time": np.concatenate([b.history.time for b in batches]),
                "lengths": np.concatenate([b.history.lengths for b in batches]),
            },
        )

    for seed in range(3):
        audit_requests(read, world(seed), 220, seed).demand()


# ------------------------------------------------------------ the detector itself


def test_a_leak_is_reported_with_its_place_and_both_values():
    found = audit(EVENT_LEAKS["item popularity over all time"].wrong, world(0), 100, view_class=LeakyView)
    assert {leak.world for leak in found.leaks} <= {"dropped", "scrambled", "crowded"} and found.worlds == 3
    assert "result[" in found.leaks[0].difference and " against " in found.leaks[0].difference
    with pytest.raises(
        LeakError, match=r"beyond the wall \(before 100 ms\).*Fix: read only through the view"
    ):
        found.demand()


def test_an_error_that_only_the_other_world_raises_is_a_leak():
    def read(view: Any) -> int:
        n = int(view._store.events.user_count.sum())
        if n != len(world(0).events):
            raise WallError("surprise")
        return 1

    found = audit(read, world(0), 100)
    assert not found.passed and "surprise" in found.leaks[0].difference


def test_a_random_read_and_a_wall_at_the_end_are_refused():
    with pytest.raises(ConfigError, match="differently each time"):
        audit(lambda v: np.random.default_rng().random(3), world(0), 100)
    with pytest.raises(ConfigError, match="no event lies beyond the wall"):
        audit(lambda v: 1, world(0), 10**6)
    with pytest.raises(ConfigError, match="cannot compare"):
        audit(lambda v: object(), world(0), 100)
    with pytest.raises(ConfigError, match="no requests"):
        audit_requests(request_inputs_of_nobody, world(0))


def request_inputs_of_nobody(view: View) -> RequestInputs:
    return RequestInputs(np.empty((0, 2), np.int64), np.empty(0, np.int64), {})


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1.0, np.nextafter(1.0, 2.0)),
        (0.0, -0.0),
        (np.float32([1, np.nan]), np.float32([1, 2])),
        (np.zeros(2, np.int32), np.zeros(2, np.int64)),
        ({"a": 1}, {"b": 1}),
        ([1, 2], [1, 2, 3]),
        ({1, 2}, {1, 3}),
        ("a", b"a"),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [None]}, schema={"a": pl.Int64})),
        (np.array(["a", "b"], object), np.array(["a", "c"], object)),
    ],
)
def test_differences_are_seen_bit_by_bit(left, right):
    from bowerbird.tables.view.leaks.compare import difference, settle

    assert difference(settle(left), settle(right)) is not None
    assert difference(settle(left), settle(left)) is None


def test_tensors_and_sparse_matrices_are_compared():
    import scipy.sparse
    import torch

    from bowerbird.tables.view.leaks.compare import difference

    one, two = torch.ones(3, dtype=torch.bfloat16), torch.tensor([1, 1, 1.5], dtype=torch.bfloat16)
    assert difference(one, one.clone()) is None and "[2]" in str(difference(one, two))
    eye = scipy.sparse.eye(3, format="csr")
    assert difference(eye, eye.copy()) is None and difference(eye, eye * 2) is not None
