"""The catalogue: topics, items, what each item is good for, and when it appears."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bowerbird.tables.simulate.config import ACTIONS, DAY_MS, SimulationConfig
from bowerbird.tables.simulate.world.creators import Creators
from bowerbird.tables.simulate.world.popularity import PERIOD_MS, cumulate

STYLES = 6
"""Length of a style factor."""

ITEM = np.dtype(
    [
        ("topic", "i8"),
        ("second", "i8"),
        ("share", "f8"),
        ("appeal", "f8", (len(ACTIONS),)),
        ("style", "f8", (len(ACTIONS), STYLES)),
        ("creator", "i8"),
        ("created", "i8"),
        ("half_life", "f8"),
        ("birth_weight", "f8"),
        ("place", "i8"),
    ],
    align=True,
)
"""One item. topic, second: leaf topics; share: weight of `topic`, the rest is `second`'s; appeal:
standardised pull toward each action; style: style factors per action; creator; created: ms; half_life: ms
of popularity; birth_weight: popularity at creation; place: where the item stands among all items sorted by
topic."""


class Catalogue(NamedTuple):
    """Items and topics as arrays that compiled loops read. I items in order of creation, K topics, P periods.

    Attributes:
        items: ITEM[I], `created` ascending.
        order: int64[I] items sorted by topic.
        topic_start: int64[K + 1] bounds of the topics in `order`.
        group: int64[K] parent of a topic.
        group_start: int64[G + 1]: group g has the topics group_start[g] up to group_start[g + 1].
        near: int64[K, 4] topics that go together with a topic.
        topic_share: float64[K] how common a topic is.
        popular, mild: float64[P, I + 1] running sums over `order` (see `popularity`).
        live: int64[P] how many items exist; they are a prefix.
    """

    items: np.ndarray
    order: np.ndarray
    topic_start: np.ndarray
    group: np.ndarray
    group_start: np.ndarray
    near: np.ndarray
    topic_share: np.ndarray
    popular: np.ndarray
    mild: np.ndarray
    live: np.ndarray


class Topics(NamedTuple):
    """Leaf topics.

    Attributes:
        group: int64[K] parent.
        group_start: int64[G + 1] bounds of the groups.
        near: int64[K, 4] topics that go together with a topic.
        share: float64[K] how common a topic is, summing to 1.
    """

    group: np.ndarray
    group_start: np.ndarray
    near: np.ndarray
    share: np.ndarray


def make_topics(rng: np.random.Generator, n_topics: int) -> Topics:
    """Topics of two levels: about five leaves per group, unequally common, each with four companions."""
    n_groups = max(2, n_topics // 5)
    group = np.sort(np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, n_topics - n_groups)]))
    near = np.stack(
        [rng.choice(np.delete(np.arange(n_topics), k), 4, replace=False) for k in range(n_topics)]
    )
    share = rng.permutation(1.0 / (np.arange(n_topics) + 8.0) ** 0.8)
    return Topics(group, np.searchsorted(group, np.arange(n_groups + 1)), near, share / share.sum())


def make_catalogue(
    rng: np.random.Generator, config: SimulationConfig, topics: Topics, creators: Creators
) -> Catalogue:
    """Draw all items."""
    n, n_topics = config.n_items, len(topics.share)
    created = _creation_times(rng, config, 3 * n_topics)
    old = int(np.searchsorted(created, config.start_ms))
    creator = rng.choice(len(creators.weight), size=n, p=creators.weight)
    loyal = rng.random(n) < 0.7
    topic = np.where(loyal, creators.topic[creator], rng.choice(n_topics, size=n, p=topics.share))
    # Three items of every topic exist from the first day on, so that no topic is ever empty.
    topic[rng.permutation(old)[: 3 * n_topics]] = np.tile(np.arange(n_topics), 3)
    sister = topics.group_start[topics.group[topic]]
    sisters = topics.group_start[topics.group[topic] + 1] - sister
    second = np.where(
        rng.random(n) < 0.7,
        sister + np.floor(rng.random(n) * sisters).astype(np.int64),
        rng.integers(0, n_topics, n),
    )
    share = np.where(second == topic, 1.0, np.where(rng.random(n) < 0.5, 1.0, rng.uniform(0.6, 0.95, n)))
    items = np.zeros(n, ITEM)
    items["topic"], items["second"], items["share"] = topic, second, share
    items["creator"], items["created"] = creator, created
    items["appeal"] = _overlapping(rng, config.outcome_overlap, (n, len(ACTIONS)))
    # What makes an item good in general makes it hidden less.
    items["appeal"][:, ACTIONS.index("hide")] *= -1.0
    items["style"] = _overlapping(rng, config.outcome_overlap, (n, STYLES, len(ACTIONS))).transpose(0, 2, 1)
    items["half_life"] = config.half_life_days * DAY_MS * np.exp(0.5 * rng.standard_normal(n))
    # Popular items are, a little, the ones that get clicked.
    items["birth_weight"] = np.exp(
        config.popularity_spread * rng.standard_normal(n) + 0.3 * items["appeal"][:, 0]
    )
    order = np.argsort(topic, kind="stable")
    items["place"][order] = np.arange(n)
    popular, mild = cumulate(config, items["birth_weight"], items["half_life"], created, order)
    period_start = config.start_ms + np.arange(len(popular)) * PERIOD_MS
    return Catalogue(
        items,
        order,
        np.searchsorted(topic[order], np.arange(n_topics + 1)),
        topics.group,
        topics.group_start,
        topics.near,
        topics.share,
        popular,
        mild,
        np.searchsorted(created, period_start, side="right"),
    )


def _creation_times(rng: np.random.Generator, config: SimulationConfig, at_least_old: int) -> np.ndarray:
    n_new = min(round(config.new_item_share * config.n_items), config.n_items - at_least_old)
    old = config.start_ms - 1 - np.floor(60 * DAY_MS * rng.random(config.n_items - n_new))
    new = config.start_ms + np.floor(config.n_days * DAY_MS * rng.random(n_new))
    return np.sort(np.concatenate([old, new])).astype(np.int64)


def _overlapping(rng: np.random.Generator, overlap: float, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal factors, one per action (last axis), any two of which correlate by `overlap`."""
    common = rng.standard_normal((*shape[:-1], 1))
    return np.sqrt(overlap) * common + np.sqrt(1.0 - overlap) * rng.standard_normal(shape)
