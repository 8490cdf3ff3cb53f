"""Creators: accounts, the persons behind them, and names that several persons share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bowerbird.tables.simulate.config import SimulationConfig
from bowerbird.tables.simulate.world.language import invent_names, shortened


@dataclass(frozen=True)
class Creators:
    """C creator accounts.

    Attributes:
        person: int64[C] who is behind an account: the truth of the identity task.
        name: C display names.
        block: int64[C] number of the full name an account goes by; accounts to be told apart share one.
        topic: int64[C] topic most of an account's items are about.
        weight: float64[C] share of all items.
        partners: int64[L, 2] pairs of accounts that worked together.
    """

    person: np.ndarray
    name: list[str]
    block: np.ndarray
    topic: np.ndarray
    weight: np.ndarray
    partners: np.ndarray


def make_creators(rng: np.random.Generator, config: SimulationConfig, topic_share: np.ndarray) -> Creators:
    """Draw the creators.

    Args: topic_share: float[K], how common each topic is.
    """
    n = config.n_creators
    # A quarter of the persons keep two or three accounts.
    accounts = rng.choice([1, 2, 3], size=n, p=[0.75, 0.17, 0.08])
    person = np.repeat(np.arange(n), accounts)[:n]
    n_persons = int(person[-1]) + 1
    n_names = max(1, round(config.shared_names * n_persons))
    names = invent_names(rng, n_names)
    # Every name is used once before any is shared, and the popular names are shared by several.
    block_of_person = np.arange(n_persons) % n_names
    late = np.arange(n_persons) >= n_names
    block_of_person[late] = np.floor(n_names * rng.random(int(late.sum())) ** 2).astype(np.int64)
    block = block_of_person[person]
    short = rng.random(n) < 0.25
    shown = [
        shortened(names[b]) if s else names[b] for b, s in zip(block.tolist(), short.tolist(), strict=True)
    ]
    topic_of_person = rng.choice(len(topic_share), size=n_persons, p=topic_share)
    weight = np.minimum(rng.pareto(1.3, n) + 0.3, 8.0)
    circle = rng.integers(0, n_persons, (n_persons, 3))
    first_account = np.searchsorted(person, np.arange(n_persons))
    last_account = np.searchsorted(person, np.arange(n_persons), side="right")
    # The accounts of one person share that person's circle, which is what lets structure tell namesakes
    # apart.
    met = circle[person]
    partner = first_account[met] + np.floor(
        rng.random(met.shape) * (last_account - first_account)[met]
    ).astype(int)
    pairs = np.stack([np.repeat(np.arange(n), 3), partner.ravel()], axis=1)
    pairs = np.unique(pairs[person[pairs[:, 0]] != person[pairs[:, 1]]], axis=0)
    return Creators(person, shown, block, topic_of_person[person], weight / weight.sum(), pairs)
