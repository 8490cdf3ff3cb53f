"""How popular every item is at every moment, laid out so that drawing an item takes one binary search."""

from __future__ import annotations

import numpy as np

from bowerbird.tables.simulate.config import DAY_MS, SimulationConfig

PERIODS_PER_DAY = 4
PERIOD_MS = DAY_MS // PERIODS_PER_DAY
_MILD = 0.7


def popularity(
    config: SimulationConfig,
    birth_weight: np.ndarray,
    half_life_ms: np.ndarray,
    created: np.ndarray,
    period: int,
) -> np.ndarray:
    """Popularity weight of every item in one period.

    Halves every half-life from an item's creation, down to an evergreen tenth; 0 for items created after
    the period began. The policy therefore never shows an item before its created_at.

    Args: birth_weight: float[I]; half_life_ms: float[I]; created: int64[I] ms; period: number of the
    quarter day. Returns float64[I].
    """
    age = config.start_ms + period * PERIOD_MS - created
    decay = 0.1 + 0.9 * np.exp2(-np.maximum(age, 0) / half_life_ms)
    return np.where(age >= 0, birth_weight * decay, 0.0)


def cumulate(
    config: SimulationConfig,
    birth_weight: np.ndarray,
    half_life_ms: np.ndarray,
    created: np.ndarray,
    order: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Running sums of popularity over the items in `order`, one row per period.

    Returns (popular, mild), float64[P, I + 1] each: sums of the weight and of a power of it below 1. The
    power is what the personal part of the policy uses: it knows the topic and still favours popular items,
    but less.
    """
    n_periods = config.n_days * PERIODS_PER_DAY
    popular = np.zeros((n_periods, len(order) + 1))
    mild = np.zeros_like(popular)
    for period in range(n_periods):
        weight = popularity(config, birth_weight, half_life_ms, created, period)[order]
        np.cumsum(weight, out=popular[period, 1:])
        np.cumsum(weight**_MILD, out=mild[period, 1:])
    return popular, mild
