"""The table of a ranker without a sequence: what had been counted, by the time of a slate, about each of its rows.

Every count is as it stood at the slate's `known_before`: rows of that moment and later do not count, neither in
training nor in evaluation. Counts about the user (and the user's crosses) always reach up to the slate, as histories
do; the others do where the slates are `live` and end at the earlier view's wall elsewhere.

Shapes: R rows of slates, C actions, F features, S slates, n history length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.rankers.content import Bag, ContentEncoder, ItemContent
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.view import View
from bowerbird.tables.view.counts import NEVER, AsOf, EventLog, KeyedCounts, global_rates, smoothed

HOUR_MS = 3_600_000.0
WINDOW_MS = 24 * 3_600_000
"""Recent counts of items look back this far."""

_HISTORY = 50
_SLATES = 4096


@dataclass(frozen=True)
class FeatureTable:
    """F features of R rows: float32 (R, F), NaN where something is not known (never seen, no date)."""

    names: list[str]
    values: NDArray[np.float32]


def shared_log(cases: SlateCases) -> EventLog:
    """The rows that counts about items may use: everybody's before the slate, or those before the wall."""
    return EventLog.of(cases.view if cases.live or cases.earlier is None else cases.earlier)


class Features:
    """Computes the table of any slates with the vocabularies of one training view.

    Args:
        view: what the item vocabularies and scales are learnt from.
    """

    def __init__(self, view: View) -> None:
        self._encoder = ContentEncoder.fit(view.item_table())
        self.actions = [str(name) for name in view.actions.decode(np.arange(len(view.actions)))]

    def __call__(self, cases: SlateCases) -> FeatureTable:
        """The features of every row of the slates."""
        return _Builder(cases, self._encoder.encode(cases.view.item_table()), self.actions).build()


class _Builder:
    def __init__(self, cases: SlateCases, content: ItemContent, actions: list[str]) -> None:
        self._cases, self._content, self._actions = cases, content, actions
        slate = cases.slate_of_row
        self._item, self._user = cases.item.astype(np.int64), cases.user[slate].astype(np.int64)
        self._moment, self._time = cases.known_before[slate], cases.time[slate]
        self._names: list[str] = []
        self._columns: list[NDArray[np.floating]] = []

    def build(self) -> FeatureTable:
        cases = self._cases
        shared = shared_log(cases)
        own = shared if cases.live or cases.earlier is None else EventLog.of(cases.view)
        overall = global_rates(shared, self._moment)
        self._rates("all", overall)
        items = KeyedCounts(shared, shared.item)
        now = items.at(self._item, self._moment)
        self._counted("item", now, overall)
        self._recent(now, items.at(self._item, self._moment - WINDOW_MS), overall)
        self._age(now)
        surface = cases.surface[cases.slate_of_row]
        self._counted("surface", KeyedCounts(shared, shared.surface).at(surface, self._moment), overall)
        personal = KeyedCounts(own, own.user).at(self._user, self._moment)
        self._counted("user", personal, overall)
        habits = smoothed(personal, overall)
        pair = KeyedCounts(own, own.user * np.int64(cases.view.n_items) + own.item)
        self._counted(
            "user x item", pair.at(self._user * cases.view.n_items + self._item, self._moment), habits
        )
        for name, bag in self._content.bags.items():
            self._counted(name, self._bagged(bag, shared, by_user=False), overall)
            self._counted(f"user x {name}", self._bagged(bag, own, by_user=True), habits)
        self._clock()
        for place in range(self._content.numbers.shape[1]):
            self._add(f"number {place}", self._content.numbers[self._item, place])
        for name, vectors in self._content.vectors.items():
            self._add(f"likeness {name}", self._likeness(vectors))
        return FeatureTable(self._names, np.stack(self._columns, axis=1).astype(np.float32))

    def _add(self, name: str, values_R: NDArray[np.floating]) -> None:
        self._names.append(name)
        self._columns.append(values_R.astype(np.float32))

    def _rates(self, name: str, rates_RC: NDArray[np.float64]) -> None:
        for place, action in enumerate(self._actions):
            self._add(f"{name}: rate of {action}", rates_RC[:, place])

    def _counted(self, name: str, found: AsOf, prior_RC: NDArray[np.float64]) -> None:
        self._add(f"{name}: rows", np.log1p(found.count))
        self._rates(name, smoothed(found, prior_RC))
        self._add(f"{name}: since last", self._since(found.last))

    def _recent(self, now: AsOf, then: AsOf, prior_RC: NDArray[np.float64]) -> None:
        window = AsOf(now.count - then.count, now.done - then.done, now.first, now.last)
        self._add("item, last day: rows", np.log1p(window.count))
        self._rates("item, last day", smoothed(window, prior_RC))

    def _age(self, seen: AsOf) -> None:
        """Since the item was made or, where that is not known, since it was first shown."""
        from bowerbird.tables.store import UNKNOWN_TIME

        made = self._content.created[self._item]
        self._add("item: age", self._since(np.where(made == UNKNOWN_TIME, seen.first, made)))

    def _since(self, moment_R: NDArray[np.int64]) -> NDArray[np.float64]:
        """log(1 + hours) from a moment to the slate; NaN where it never was."""
        never = moment_R == NEVER
        hours = (self._time - np.where(never, self._time, moment_R)) / HOUR_MS
        return np.where(never, np.nan, np.log1p(np.maximum(hours, 0.0)))

    def _bagged(self, bag: Bag, log: EventLog, *, by_user: bool) -> AsOf:
        row, key = bag.of(log.item)
        owner, asked = bag.of(self._item)
        if by_user:
            key = log.user[row].astype(np.int64) * bag.size + key
            asked = self._user[owner] * bag.size + asked
        return KeyedCounts(log, key, row).at(asked, self._moment[owner]).grouped(owner, len(self._item))

    def _clock(self) -> None:
        for name, hours in (("day", 24), ("week", 168)):
            angle = 2 * np.pi * (self._time / (hours * HOUR_MS) % 1.0)
            self._add(f"time of {name}, sine", np.sin(angle))
            self._add(f"time of {name}, cosine", np.cos(angle))

    def _likeness(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of the row's item to the mean of the user's last positive events; 0 without history."""
        cases = self._cases
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.divide(vectors, norm, out=np.zeros_like(vectors), where=norm > 0)
        profile_SD = np.zeros((len(cases), vectors.shape[1]), np.float32)
        for low in range(0, len(cases), _SLATES):
            part = cases.subset(slice(low, low + _SLATES))
            history = part.histories(_HISTORY)
            total = (unit[history.item] * history.mask[..., None]).sum(axis=1)
            norm = np.linalg.norm(total, axis=1, keepdims=True)
            profile_SD[low : low + len(part)] = np.divide(
                total, norm, out=np.zeros_like(total), where=norm > 0
            )
        out = np.empty(cases.n_rows, np.float32)
        for low in range(0, cases.n_rows, 1 << 18):  # bounds the gathered vectors
            part_R = slice(low, low + (1 << 18))
            out[part_R] = (profile_SD[cases.slate_of_row[part_R]] * unit[self._item[part_R]]).sum(axis=1)
        return out
