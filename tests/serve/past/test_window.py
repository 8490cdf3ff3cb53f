"""The window of a long history stands still, then moves; it depends on the number of events alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.past.window import Window, as_batch, stride_of, window_start


def numbered(n: int) -> Window:
    return Window.of(range(n), range(n), [1] * n, [0] * n)


def test_the_first_window_begins_at_the_beginning_and_moves_in_strides() -> None:
    assert [window_start(m, 8) for m in range(1, 14)] == [0] * 8 + [2, 2, 4, 4, 6]
    assert stride_of(64) == 16 and stride_of(1) == 1
    assert window_start(3, 1) == 2


@given(events=st.integers(0, 500), length=st.integers(1, 100))
def test_a_window_is_never_too_long_nor_much_shorter_than_it_could_be(events: int, length: int) -> None:
    read = events - window_start(events, length)
    assert min(events, length - stride_of(length) + 1) <= read <= length
    assert 0 <= window_start(events + 1, length) - window_start(events, length) <= stride_of(length)


@given(events=st.integers(1, 60), more=st.integers(0, 9), length=st.integers(1, 20))
def test_continuing_a_window_gives_the_window_of_the_whole(events: int, more: int, length: int) -> None:
    whole = numbered(events + more)
    fresh = whole.newest(events + more, length)
    old = numbered(events).newest(events, length)
    continued = old.followed_by(whole.cut(events)).newest(events + more, length)
    assert continued.item.tolist() == fresh.item.tolist() and continued.start == fresh.start
    if fresh.start == old.start:
        assert fresh.after(old) == more
    else:
        assert fresh.after(old) is None


def test_a_changed_event_continues_nothing() -> None:
    window = numbered(5)
    for name in ("item", "time", "actions", "surface"):
        other = numbered(5)
        getattr(other, name)[2] += 1
        assert window.after(other) is None
    assert window.after(numbered(6)) is None, "a shorter history does not continue a longer one"
    assert window.after(window) == 0 and window.after(Window.of()) == 5


def test_windows_in_time_order_keep_the_order_of_equal_times() -> None:
    window = Window.of([1, 2, 3, 4], [5, 3, 5, 3], [1] * 4, [0] * 4).in_time_order()
    assert window.item.tolist() == [2, 4, 1, 3]


def test_batches_are_padded_on_the_right() -> None:
    batch = as_batch([numbered(2), Window.of(), numbered(3)])
    assert batch.lengths.tolist() == [2, 0, 3] and batch.item.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 2]]
