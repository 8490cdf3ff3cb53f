"""The truth behind a simulated store: factors, probabilities, propensities, rings, identities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from bowerbird.tables.errors import ConfigError, StoreError, did_you_mean
from bowerbird.tables.simulate.behaviour.choice import (
    Choice,
    catalogue_probabilities,
    examination,
    pair_probabilities,
)
from bowerbird.tables.simulate.behaviour.people import MAX_INTERESTS, PERSON
from bowerbird.tables.simulate.behaviour.policy import catalogue_exposures
from bowerbird.tables.simulate.behaviour.rings import Rings
from bowerbird.tables.simulate.behaviour.scene import Policy
from bowerbird.tables.simulate.config import ACTIONS, SURFACES, SimulationConfig
from bowerbird.tables.simulate.platform import Platform, choice_of, policy_of
from bowerbird.tables.simulate.world.items import Catalogue
from bowerbird.tables.store.manifest import MANIFEST, Manifest

Ids = npt.ArrayLike | Sequence[str]
"""Public ids (strings) or the numbers inside them."""

ANY = "any"
"""The outcome "some action that is not a negative one"."""

_CATALOGUE_FILES = tuple(name for name in Catalogue._fields if name != "items")


@dataclass(frozen=True)
class Truth:
    """What really drives a simulated platform. For tests and oracles.

    People, items and topics are known by their number: the number inside the public id, which is also the
    dense id of the simulated store. Everywhere an id is wanted, a public id works too. `moment` is the
    topic of the moment of a request, which the platform never sees (see `requests`).

    Attributes:
        config: every knob.
        choice: biases and strengths of the outcome model.
        policy: the logging policy.
        catalogue: items (ITEM records) and topics.
        people: PERSON[U] records, memory-mapped.
        rings: the spam accounts.
        folder: where the files are.
    """

    config: SimulationConfig
    choice: Choice
    policy: Policy
    catalogue: Catalogue
    people: np.ndarray
    rings: Rings
    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Truth:
        """The truth of a simulated store.

        Args: folder: the store, or the `truth` folder inside it. Raises StoreError where there is none, or
        one of another simulation.
        """
        folder = Path(folder)
        folder = folder if (folder / "truth.json").is_file() else folder / "truth"
        if not (folder / "truth.json").is_file():
            raise StoreError(
                f"no truth beside this store: {folder} does not exist; only simulated stores have one"
            )
        facts = json.loads((folder / "truth.json").read_text())
        if (folder.parent / MANIFEST).is_file():
            stored = Manifest.read(folder.parent).config.get("simulation")
            if stored != facts["config"]:
                raise StoreError(
                    f"{folder} belongs to another simulation than the store around it; simulate again"
                )
        config = SimulationConfig.of(**facts["config"])
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _CATALOGUE_FILES}
        catalogue = Catalogue(
            items=np.load(folder / "items.npy"), **{k: np.array(v) for k, v in arrays.items()}
        )
        rings = Rings(**{name: np.load(folder / f"ring_{name}.npy") for name in Rings._fields})
        people = np.load(folder / "people.npy", mmap_mode="r")
        choice = choice_of(config, np.array(facts["bias"]))
        return cls(config, choice, policy_of(config), catalogue, people, rings, folder)

    def user_numbers(self, users: Ids) -> np.ndarray:
        """Numbers (int64) of people given by public id or number."""
        return _numbers(users, "u", self.config.n_users)

    def item_numbers(self, items: Ids) -> np.ndarray:
        """Numbers (int64) of items given by public id or number."""
        return _numbers(items, "i", self.config.n_items)

    def outcome_probability(
        self, users: Ids, items: Ids, action: str, time: npt.ArrayLike, moment: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """The true probability that a person, looking at an item, takes an action. Pair by pair.

        Args:
            users, items: R ids each, or one.
            action: an action, or ANY for any but the negative ones.
            time: ms, R or one.
            moment: topics of the moment, R or one. None averages over the person's interests by their
            weights, which is what
                one knows of a person and not of the moment.

        Returns: float64[R]; times `examination` it is the rate at a position. NaN for spam accounts: they
        follow a script.
        """
        user, item, at = np.broadcast_arrays(
            self.user_numbers(users), self.item_numbers(items), np.asarray(time, dtype=np.int64)
        )
        user, item, at = (np.ascontiguousarray(np.atleast_1d(x)) for x in (user, item, at))
        people, code = self._ordinary(user), _action_code(action)
        rows = np.arange(len(user))
        total = np.zeros(len(user))
        for weight, topic in self._moments(people, at, moment):
            total += weight * pair_probabilities(
                people, rows, item, topic, at, code, self.catalogue, self.choice, self.policy
            )
        return np.where(self.rings.member[user] >= 0, np.nan, total)

    def outcome_matrix(
        self, users: Ids, action: str, time: npt.ArrayLike, moment: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """`outcome_probability` of R people on every item, float64[R, I] in the order of item numbers."""
        user = np.atleast_1d(self.user_numbers(users))
        at = np.ascontiguousarray(np.broadcast_to(np.asarray(time, dtype=np.int64), user.shape))
        people, code, rows = self._ordinary(user), _action_code(action), np.arange(len(user))
        total = np.zeros((len(user), self.config.n_items))
        for weight, topic in self._moments(people, at, moment):
            total += weight[:, None] * catalogue_probabilities(
                people, rows, topic, at, code, self.catalogue, self.choice, self.policy
            )
        total[self.rings.member[user] >= 0] = np.nan
        return total

    def exposure_matrix(
        self, users: Ids, surfaces: Sequence[str] | np.ndarray, time: npt.ArrayLike, moment: npt.ArrayLike
    ) -> np.ndarray:
        """The logging policy's probability to draw each item for the first slot of R requests.

        Before the things a person engaged with lately are left out.

        Args:
            users: R ids.
            surfaces: R surface names, or one.
            time: ms, R or one.
            moment: topics of the moment, R or one.

        Returns: float64[R, I], rows sum to 1.
        """
        user = np.atleast_1d(self.user_numbers(users))
        codes = np.array(
            [SURFACES.index(s) for s in np.atleast_1d(np.asarray(surfaces)).tolist()], dtype=np.int64
        )
        at, topic, codes = (
            np.ascontiguousarray(np.broadcast_to(np.asarray(x, dtype=np.int64), user.shape))
            for x in (time, moment, codes)
        )
        rows = np.arange(len(user))
        return catalogue_exposures(self._ordinary(user), rows, codes, topic, at, self.catalogue, self.policy)

    def examination(self, position: npt.ArrayLike) -> np.ndarray:
        """Probability that a slot is looked at, by position (0 first)."""
        return np.asarray(examination(np.asarray(position, dtype=np.int64), self.choice))

    @cached_property
    def spam(self) -> pl.DataFrame:
        """All spam accounts: user_id, ring."""
        numbers = np.flatnonzero(self.rings.member >= 0)
        width = len(str(self.config.n_users - 1))
        ids = [f"u{k:0{width}d}" for k in numbers.tolist()]
        return pl.DataFrame(
            {"user_id": ids, "ring": self.rings.member[numbers]},
            schema={"user_id": pl.String, "ring": pl.Int64},
        )

    def requests(self) -> pl.LazyFrame:
        """One row per request: request_id, user_id, timestamp (ms), surface, moment, context_item_id.

        `moment` is the topic of the moment, null for spam; `context_item_id` the item a related request
        started from.
        """
        return pl.scan_parquet(self.folder / "requests" / "*.parquet")

    def propensities(self) -> pl.LazyFrame:
        """One row per event: request_id, user_id, item_id, position, propensity.

        `propensity` is the probability with which the logging policy put this item into this slot, given
        the slots before it; null for spam.
        """
        return pl.scan_parquet(self.folder / "propensities" / "*.parquet")

    def creators(self) -> pl.DataFrame:
        """One row per creator account: creator_id, name, block (number of the full name), person, topic."""
        return pl.read_parquet(self.folder / "creators.parquet")

    def topics(self) -> pl.DataFrame:
        """One row per topic: topic (number), name, group (number), group_name."""
        return pl.read_parquet(self.folder / "topics.parquet")

    def _ordinary(self, user: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.people[user])

    def _moments(
        self, people: np.ndarray, at: np.ndarray, moment: npt.ArrayLike | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """(weight float64[R], topic int64[R]) pairs to average over."""
        if moment is not None:
            topic = np.ascontiguousarray(np.broadcast_to(np.asarray(moment, dtype=np.int64), at.shape))
            return [(np.ones(len(at)), topic)]
        now = people["topics"].copy()
        moved = (people["drift_slot"] >= 0) & (at >= people["drift_time"])
        now[moved, people["drift_slot"][moved]] = people["drift_topic"][moved]
        return [
            (people["weight"][:, j], np.ascontiguousarray(np.maximum(now[:, j], 0)))
            for j in range(MAX_INTERESTS)
        ]


def write_world(folder: Path, platform: Platform) -> np.memmap:
    """Write what does not come from behaviour into an existing empty folder.

    Returns: PERSON[U], memory-mapped, to be filled block by block.
    """
    facts = {
        "config": json.loads(platform.config.to_json()),
        "bias": platform.choice.bias.tolist(),
        "actions": list(ACTIONS),
        "surfaces": list(SURFACES),
    }
    (folder / "truth.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    np.save(folder / "items.npy", platform.catalogue.items)
    for name in _CATALOGUE_FILES:
        np.save(folder / f"{name}.npy", getattr(platform.catalogue, name))
    for name in Rings._fields:
        np.save(folder / f"ring_{name}.npy", getattr(platform.rings, name))
    language, creators, group = platform.language, platform.creators, platform.catalogue.group
    pl.DataFrame(
        {
            "topic": np.arange(len(group)),
            "name": language.names,
            "group": group,
            "group_name": [language.group_names[g] for g in group.tolist()],
        }
    ).write_parquet(folder / "topics.parquet")
    width = len(str(platform.config.n_creators - 1))
    pl.DataFrame(
        {
            "creator_id": [f"c{k:0{width}d}" for k in range(platform.config.n_creators)],
            "name": creators.name,
            "block": creators.block,
            "person": creators.person,
            "topic": creators.topic,
        }
    ).write_parquet(folder / "creators.parquet")
    (folder / "requests").mkdir()
    (folder / "propensities").mkdir()
    return np.lib.format.open_memmap(folder / "people.npy", "w+", PERSON, (platform.config.n_users,))


def _numbers(ids: Ids, letter: str, n: int) -> np.ndarray:
    found = np.asarray(ids)
    if found.dtype.kind in "UO":
        found = np.array([int(str(x).removeprefix(letter)) for x in found.ravel().tolist()]).reshape(
            found.shape
        )
    found = found.astype(np.int64)
    if found.size and (found.min() < 0 or found.max() >= n):
        wrong = found[(found < 0) | (found >= n)].flat[0]
        raise ConfigError(f"truth: number {wrong} is outside 0 to {n - 1}")
    return found


def _action_code(action: str) -> int:
    if action == ANY:
        return -1
    if action not in ACTIONS:
        raise ConfigError(f"truth: unknown action {action!r}; {did_you_mean(action, [*ACTIONS, ANY])}")
    return ACTIONS.index(action)
