"""How lives unfold: order in time, sessions, interests that come back, drift, arrivals."""

from __future__ import annotations

import numpy as np
import polars as pl

from bowerbird.tables.simulate import SimulationConfig
from bowerbird.tables.simulate.platform import build_platform

from .conftest import World

_DAY = 86_400_000


def test_time_moves_forward_and_nothing_is_shown_before_it_exists(world: World) -> None:
    rows, truth = world.rows, world.truth
    user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
    assert (np.diff(time)[np.diff(user) == 0] > 0).all()
    assert (time >= truth.catalogue.items["created"][rows["item"].to_numpy()]).all()
    assert (time >= truth.people["joined"][user]).all()
    assert (time >= truth.config.start_ms).all()
    assert (time < truth.config.end_ms + _DAY).all()


def test_people_and_items_arrive_during_the_log(world: World) -> None:
    truth = world.truth
    joined = (truth.people["joined"] >= truth.config.start_ms).mean()
    assert abs(joined - truth.config.new_user_share) < 0.08
    assert (
        abs((truth.catalogue.items["created"] >= truth.config.start_ms).mean() - truth.config.new_item_share)
        < 0.01
    )


def test_what_is_shown_drifts_away_from_the_first_days(world: World) -> None:
    week = (world.ordinary["time"].to_numpy() - world.truth.config.start_ms) // (7 * _DAY)
    item = world.ordinary["item"].to_numpy()
    n_items = world.truth.config.n_items
    shares = np.stack([np.bincount(item[week == k], minlength=n_items) / (week == k).sum() for k in range(4)])
    distance = np.abs(shares - shares[0]).sum(1) / 2
    assert distance[1] < distance[2] < distance[3]
    fresh = world.truth.catalogue.items["created"][item] >= world.truth.config.start_ms
    by_week = [fresh[week == k].mean() for k in range(4)]
    assert by_week == sorted(by_week)
    assert by_week[-1] > 0.3


def test_activity_and_popularity_have_heavy_tails(world: World) -> None:
    for column in ("user", "item"):
        counts = np.sort(np.bincount(world.ordinary[column].to_numpy()))[::-1]
        assert counts[: len(counts) // 10].sum() > 0.25 * counts.sum()


def test_the_next_engagement_stays_on_topic_and_later_ones_less(world: World) -> None:
    acted = world.ordinary.filter(pl.col("mask") & 7 != 0)
    user, time, moment = (acted[name].to_numpy() for name in ("user", "time", "moment"))
    follower, topics = world.truth.people["follower"], world.truth.people["topics"]
    stay: dict[str, list[np.ndarray]] = {"now": [], "soon": [], "later": []}
    moved_on: dict[str, list[np.ndarray]] = {"now": [], "soon": [], "later": []}
    for lag in range(1, 12):
        same = user[lag:] == user[:-lag]
        gap, before, after = (time[lag:] - time[:-lag])[same], moment[:-lag][same], moment[lag:][same]
        who = user[lag:][same]
        slot = (topics[who] == before[:, None]).argmax(1)
        habit = topics[who, follower[who, slot]]
        parts = {"now": gap < 30_000, "soon": (gap >= 60_000) & (gap < 300_000), "later": gap > 3_600_000}
        for name, part in parts.items():
            stay[name].append((before == after)[part])
            moved_on[name].append((habit == after)[part])
    share = {name: np.concatenate(parts).mean() for name, parts in stay.items()}
    habit_share = {name: np.concatenate(parts).mean() for name, parts in moved_on.items()}
    assert share["now"] > 0.75 > share["soon"] > share["later"]
    assert habit_share["soon"] > 2 * habit_share["now"]


def test_each_person_has_several_interests_and_uses_them(world: World) -> None:
    people = world.truth.people
    n = people["n_interests"]
    assert set(n.tolist()) == {2, 3, 4, 5}
    np.testing.assert_allclose(people["weight"].sum(1), 1.0)
    for b in range(50):
        topics = people["topics"][b, : n[b]]
        assert len(set(topics.tolist())) == n[b]
        round_trip, slot = [], 0
        for _ in range(n[b]):
            slot = people["follower"][b, slot]
            round_trip.append(slot)
        assert sorted(round_trip) == list(range(n[b]))


def test_a_drifted_interest_is_left_for_its_successor(world: World) -> None:
    people = world.truth.people
    rows = world.ordinary.filter(pl.col("surface") == "home")
    user, asked, moment = (rows[name].to_numpy() for name in ("user", "asked", "moment"))
    slot = people["drift_slot"][user]
    old = people["topics"][user, np.maximum(slot, 0)]
    drifted = slot >= 0
    before = drifted & (asked < people["drift_time"][user])
    after = drifted & (asked >= people["drift_time"][user])
    assert (moment == old)[before].mean() > 0.15
    assert not (moment == old)[after].any()
    assert (moment == people["drift_topic"][user])[after].mean() > 0.15
    assert abs((people["drift_slot"] >= 0).mean() - world.truth.config.drift_share) < 0.08


def test_habits_of_the_day_show_in_the_hours() -> None:
    platform = build_platform(SimulationConfig(20_000, seed=8))
    people = platform.people(np.arange(platform.config.n_users))
    rows = platform.run(people).rows
    rows = rows[rows["moment"] >= 0]
    hour = rows["time"] % _DAY / 3_600_000
    from_middle = (hour - people["wake_hour"][rows["person"]] + 12) % 24 - 12
    assert np.abs(from_middle).mean() < 4.5  # 6 without a habit
