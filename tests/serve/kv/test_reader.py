"""What comes out of the pool is what a fresh encoding gives, whatever was kept, continued, evicted or overwritten."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.model import Encoded
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.recommend.retrieval.generation import Plan, generate
from bowerbird.serve.kv import HistoryReader, KVPool, SlotShape
from bowerbird.serve.past.window import Window
from bowerbird.tables.store import Store
from serve.models import LENGTH, opened

NOW = torch.tensor([1_700_000_000_000])


@pytest.fixture(scope="module", params=[False, True], ids=["one token", "two tokens"])
def model(request: pytest.FixtureRequest, store: Store) -> OpenUniPinRec:
    return opened(store, interleave=request.param)


def reader(model: OpenUniPinRec, slots: int) -> HistoryReader:
    shape = SlotShape.of(model.model, 1)
    return HistoryReader(model, KVPool(shape, slots * shape.nbytes), 1)


def history(rng: np.random.Generator, n: int, after: int = 1_600_000_000_000) -> Window:
    """Random events."""
    time = after + np.cumsum(rng.integers(1, 10**7, n))
    return Window.of(rng.integers(0, 60, n), time, rng.integers(1, 4, n), rng.integers(-1, 1, n))


def outputs(model: OpenUniPinRec, encoded: Encoded, history: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
    """Generated vectors and action probabilities: all that an answer is made of."""
    batch = len(encoded.last_BD)
    time_B, surface_B = NOW.expand(batch), torch.ones(batch, dtype=torch.long)
    plan = Plan(outcomes={"any": 0.5, "save": 0.5}, steps=2)
    made = generate(
        model.model, model.conditions, encoded, plan, surface_B=surface_B, time_B=time_B,
        shares_BO=np.full((batch, 2), 0.5),
    )  # fmt: skip
    items_BK = torch.arange(5).expand(batch, -1)
    return made.vectors_BME, model.rank(
        encoded, model.vectors_IE[items_BK], items_BK, time_B=time_B, surface_B=surface_B, history=history
    )


def agree(read: HistoryReader, keys: Sequence[object], windows: Sequence[Window]) -> None:
    reading = read.read(keys, windows)  # type: ignore[arg-type]
    with torch.inference_mode():
        for b, window in enumerate(windows):
            fresh = outputs(read.opened, read.encode([window]), read.tokens([window]))
            pooled = outputs(read.opened, reading.encoded, reading.history)
            for expected, found in zip(fresh, pooled, strict=True):
                torch.testing.assert_close(found[b], expected[0], atol=1e-5, rtol=1e-4)


STEP = st.tuples(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=4
    ),  # (user, new events) rows
    st.sampled_from(["", "", "", "late", "clear", "nobody"]),
)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(STEP, min_size=1, max_size=7), slots=st.integers(0, 4), seed=st.integers(0, 99))
def test_pooled_answers_are_fresh_answers(
    model: OpenUniPinRec, steps: list[tuple[list[tuple[int, int]], str]], slots: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    read = reader(model, slots)
    past = {user: history(rng, int(rng.integers(1, 11))) for user in range(5)}
    for rows, what in steps:
        keys: list[object] = []
        windows = []
        if what == "clear":
            read.pool.clear()
        for user, new in rows:
            if new:
                past[user] = past[user].followed_by(history(rng, new, int(past[user].time[-1])))
            if what == "late":
                late = Window.of([7], [int(past[user].time[0]) + 1], [1], [0])
                past[user] = past[user].followed_by(late).in_time_order()
            keys.append(None if what == "nobody" else user)
            windows.append(past[user].newest(len(past[user]), LENGTH))
        agree(read, keys, windows)
        assert len(read.pool) <= read.pool.slots


def test_only_new_events_are_encoded(model: OpenUniPinRec, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, read = np.random.default_rng(0), reader(model, 4)
    encoded: list[int] = []
    real = read.tokens
    monkeypatch.setattr(
        read,
        "tokens",
        lambda w: encoded.append(sum(map(len, w))) or real(w),  # type: ignore[func-returns-value]
    )
    one, two = history(rng, 5), history(rng, 3)
    read.read(["a", "b"], [one, two])
    read.read(["a", "b"], [one, two])
    assert encoded == [8], "a second question reads nothing again"
    more = one.followed_by(history(rng, 2, int(one.time[-1])))
    read.read(["a", "b"], [more, two])
    assert encoded == [8, 2]
    counts = read.pool.counts
    assert (counts.misses, counts.hits, counts.appends, counts.events_appended) == (2, 3, 1, 2)


def test_a_window_that_moved_or_changed_is_encoded_again(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(1), reader(model, 4)
    whole = history(rng, LENGTH + 1)
    read.read(["a"], [whole.cut(0, LENGTH)])
    agree(read, ["a"], [whole.newest(LENGTH + 1, LENGTH)])
    other = history(rng, 4)
    agree(read, ["a"], [other])
    assert read.pool.counts.changed == 2 and read.pool.counts.appends == 0


def test_whoever_was_away_longest_goes_first(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(2), reader(model, 2)
    pasts = {name: history(rng, 3) for name in "abc"}
    for name in "aba":
        read.read([name], [pasts[name]])
    read.read(["c"], [pasts["c"]])
    counts = read.pool.counts
    assert counts.evictions == 1
    read.read(["a"], [pasts["a"]])
    assert counts.hits == 2, "a was asked for after b"
    agree(read, ["b"], [pasts["b"]])
    assert counts.misses == 4


@pytest.mark.parametrize("how", ["evicted", "appended", "cleared"])
def test_a_reader_that_comes_back_notices_a_changed_slot(model: OpenUniPinRec, how: str) -> None:
    rng, read = np.random.default_rng(3), reader(model, 1)
    mine = history(rng, 5)
    read.read(["me"], [mine])
    reading = read.read(["me"], [mine])
    with torch.inference_mode():
        before = outputs(model, reading.encoded, reading.history)
        if how == "evicted":
            read.read(["other"], [history(rng, 6)])
        elif how == "appended":
            read.read(["me"], [mine.followed_by(history(rng, 1, int(mine.time[-1])))])
        else:
            read.pool.clear()
            read.read(["other"], [history(rng, 6)])
        after = outputs(model, reading.encoded, reading.history)
        for expected, found in zip(before, after, strict=True):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert read.pool.counts.overwritten == 1


def test_a_slot_that_nobody_touched_is_read_in_place(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(4), reader(model, 2)
    mine = history(rng, 5)
    read.read(["me"], [mine])
    encoded = read.read(["me"], [mine]).encoded
    slot = read.pool.entry("me")
    assert slot is not None
    assert encoded.cache.keys[0].data_ptr() == read.pool.keys[0][slot.slot].data_ptr()
    assert read.pool.counts.overwritten == 0


def test_users_of_one_batch_keep_their_slots(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(5), reader(model, 2)
    a, b, c = (history(rng, 4) for _ in range(3))
    read.read(["a", "b"], [a, b])
    agree(read, ["c", "a", "b", "a"], [c, a, b, a])
    assert read.pool.counts.evictions == 0 and read.pool.counts.unkept == 1


def test_two_states_of_one_user_in_one_batch(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(6), reader(model, 2)
    old = history(rng, 4)
    new = old.followed_by(history(rng, 1, int(old.time[-1])))
    agree(read, ["a", "a"], [old, new])
    agree(read, ["a", "a"], [new, old])


def test_some_rows_of_a_reading(model: OpenUniPinRec) -> None:
    rng, read = np.random.default_rng(7), reader(model, 3)
    windows = [history(rng, n) for n in (3, 7, 5)]
    reading = read.read(["a", "b", "c"], windows).keep([0, 2])
    with torch.inference_mode():
        for place, row in enumerate((0, 2)):
            fresh = outputs(model, read.encode([windows[row]]), read.tokens([windows[row]]))
            kept = outputs(model, reading.encoded, reading.history)
            torch.testing.assert_close(kept[1][place], fresh[1][0], atol=1e-5, rtol=1e-4)


def test_a_model_that_fails_leaves_the_pool_as_it_was(
    model: OpenUniPinRec, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, read = np.random.default_rng(8), reader(model, 2)
    mine = history(rng, 4)
    read.read(["a"], [mine])
    more = mine.followed_by(history(rng, 1, int(mine.time[-1])))

    def broken(*_: object) -> Encoded:
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(model.model, "append", broken)
        patch.setattr(model.model, "read", broken)
        for keys, windows in ((["a"], [more]), (["b"], [mine])):
            with pytest.raises(RuntimeError, match="out of order"):
                read.read(keys, windows)
    assert len(read.pool) == 1
    agree(read, ["a"], [mine])
    agree(read, ["a", "b"], [more, mine])
