"""Item rates against a plain count of the log, and what they may never know."""

from __future__ import annotations

import numpy as np

from bowerbird.recommend.ranking.rates import PRIOR_ROWS, ItemRates
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

HOUR = 3_600_000


def _questions(view: View, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    low, high = int(view.events.time.min()), int(view.events.time.max())
    return rng.integers(-1, view.n_items + 2, count), rng.integers(low - 50 * HOUR, high + 90 * HOUR, count)


def _log_odds(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))


def test_rates_are_those_of_the_rows_before_the_last_full_step(slates: Store) -> None:
    view, step = View(slates), 24 * HOUR
    items, times = _questions(view, 60)
    found = ItemRates(view, 24.0).at(items, times)
    events = view.events
    done = (events.actions[:, None] >> np.arange(3, dtype=np.uint32)) & 1
    for item, time, row in zip(items, times, found, strict=True):
        before = events.time < time // step * step
        own = before & (events.item == item)
        assert row[0] == np.float32(np.log1p(own.sum()))
        for action in range(3):
            usual = (done[before, action].sum() + 0.5) / (before.sum() + 1.0)
            rate = (done[own, action].sum() + PRIOR_ROWS * usual) / (own.sum() + PRIOR_ROWS)
            np.testing.assert_allclose(row[1 + action], _log_odds(rate) - _log_odds(usual), atol=1e-5)


def test_the_table_of_one_step_says_the_same_as_single_questions(slates: Store) -> None:
    view = View(slates)
    rates = ItemRates(view, 24.0)
    items, times = _questions(view, 40)
    single = rates.at(items, times)
    for place in range(len(items)):
        np.testing.assert_array_equal(rates.at(items[[place]], times[[place]])[0], single[place])
    late = int(view.events.time.max()) + 1000 * HOUR  # what serving asks for: nothing changes any more
    ids = np.arange(view.n_items)
    np.testing.assert_array_equal(
        rates.at(ids, np.full(len(ids), late)), rates.at(ids, np.full(len(ids), late + 5000 * HOUR))
    )


def test_rows_past_a_moment_never_change_its_rates(slates: Store) -> None:
    whole = View(slates)
    items, times = _questions(whole, 50)
    for step in (1.0, 24.0):
        known = ItemRates(whole, step).at(items, times)
        for place in range(0, 50, 5):
            earlier = ItemRates(whole.narrow(int(times[place])), step)
            np.testing.assert_array_equal(earlier.at(items[[place]], times[[place]])[0], known[place])
