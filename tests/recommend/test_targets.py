from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.recommend.examples import _windows
from bowerbird.recommend.targets import (
    Windows,
    anchors,
    feed_targets,
    future_items,
    next_item,
    offset_bucket,
    offset_edges,
)


def _batch(seed: int, rows: int = 4, n: int = 9) -> Windows:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, n + 1, rows)
    return Windows(
        item=rng.integers(0, 50, (rows, n)),
        time=np.cumsum(rng.integers(0, 200_000, (rows, n)), axis=1),
        action=rng.integers(1, 3, (rows, n)),
        deeds=rng.integers(1, 8, (rows, n)),
        surface=rng.integers(1, 3, (rows, n)),
        request=np.sort(rng.integers(-1, 3, (rows, n)), axis=1),
        lengths=lengths,
        event=np.arange(n) < lengths[:, None],
    )


def test_offset_edges_start_with_the_published_ones() -> None:
    assert offset_edges(4).tolist() == [0, 30, 60, 180]
    edges = offset_edges(8)
    assert len(edges) == 8 and np.all(np.diff(edges) > 0) and edges[-1] == 7 * 86_400
    gaps = np.array([-5, 0, 29_999, 30_000, 179_999, 10**12])
    assert offset_bucket(gaps, edges).tolist() == [0, 0, 0, 1, 2, 7]


@given(st.integers(0, 10_000), st.integers(0, 4))
def test_anchors_are_all_positions_with_a_successor_up_to_the_cap(seed: int, cap: int) -> None:
    batch = _batch(seed)
    window, position = anchors(batch, cap, np.random.default_rng(seed))
    pairs = set(zip(window.tolist(), position.tolist(), strict=True))
    assert len(pairs) == len(window)
    for b, length in enumerate(batch.lengths):
        mine = [p for w, p in pairs if w == b]
        assert len(mine) == (min(cap, max(0, length - 1)) if cap else max(0, length - 1))
        assert all(0 <= p < length - 1 for p in mine)


@given(st.integers(0, 10_000))
def test_next_item_predicts_the_event_right_after(seed: int) -> None:
    batch = _batch(seed)
    window, position = anchors(batch, 0, np.random.default_rng(0))
    rows = next_item(batch, window, position)
    for r in range(len(window)):
        b, t = window[r], position[r]
        assert rows.target[r].tolist() == [batch.item[b, t + 1]]
        assert (rows.action[r], rows.surface[r]) == (batch.action[b, t + 1], batch.surface[b, t + 1])
        assert rows.time[r] == batch.time[b, t + 1]
    assert (rows.offset == 0).all() and (rows.weight == 1).all()


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6))
def test_future_items_lie_ahead_within_reach_under_their_true_offset(
    seed: int, draws: int, reach: int
) -> None:
    batch, edges = _batch(seed), offset_edges(6)
    window, position = anchors(batch, 0, np.random.default_rng(0))
    rows = future_items(
        batch, window, position, edges_s=edges, draws=draws, reach=reach, rng=np.random.default_rng(seed)
    )
    weights: dict[tuple[int, int], float] = {}
    for r in range(len(rows.window)):
        b, t = int(rows.window[r]), int(rows.position[r])
        matches = [
            j
            for j in range(t + 1, min(int(batch.lengths[b]), t + max(reach, 1) + 1))
            if batch.item[b, j] == rows.target[r, 0]
            and offset_bucket(batch.time[b, j] - batch.time[b, t], edges) + 1 == rows.offset[r]
            and batch.action[b, j] == rows.action[r]
        ]
        assert matches
        weights[b, t] = weights.get((b, t), 0.0) + float(rows.weight[r])
    assert all(abs(total - 1) < 1e-6 for total in weights.values())
    assert len(weights) == len(window)


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_feed_targets_equal_their_definition(seed: int, most: int) -> None:
    batch = _batch(seed)
    window, position = anchors(batch, 0, np.random.default_rng(0))
    rows = next_item(batch, window, position)
    found = feed_targets(batch, rows, most)
    for r in range(len(window)):
        b, t = window[r], position[r]
        expected = {int(batch.item[b, t + 1])}
        if batch.request[b, t] >= 0 and batch.request[b, t + 1] == batch.request[b, t]:
            for j in range(t + 2, min(t + most + 1, int(batch.lengths[b]))):
                same = (batch.action[b, j], batch.surface[b, j]) == (
                    batch.action[b, t + 1],
                    batch.surface[b, t + 1],
                )
                if batch.request[b, j] == batch.request[b, t] and same:
                    expected.add(int(batch.item[b, j]))
        assert set(found[r][found[r] >= 0].tolist()) == expected
        assert found[r, 0] == batch.item[b, t + 1]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(2, 9))
def test_windows_train_every_transition_exactly_once(counts: list[int], length: int) -> None:
    users = np.repeat(np.arange(len(counts)), counts)
    start, stop = _windows(users, length, "all")
    seen = [(int(t), int(t) + 1) for a, b in zip(start, stop, strict=True) for t in range(a, b - 1)]
    wanted = [(t, t + 1) for t in range(len(users) - 1) if users[t] == users[t + 1]]
    assert sorted(seen) == wanted
    assert all(b - a <= length for a, b in zip(start, stop, strict=True))
