"""`View`: the only door from training and evaluation to a store. It knows its wall and raises past it.

Source: design principle "a wall in time"; PinRec A1 (history ends at t_max), UniPinRec B1 (history, then a
later slate). Shape letters: B users of a batch, n history length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError
from bowerbird.tables.view.base import FOREVER
from bowerbird.tables.view.catalogue import CatalogueReads
from bowerbird.tables.view.rows.events import EventRows, HeldOut, VisibleEvents, event_rows, held_out_rows
from bowerbird.tables.view.rows.histories import HistoryBatch, last_rows
from bowerbird.tables.view.rows.mentions import MentionKind, with_mentions
from bowerbird.tables.view.rows.slates import Slates
from bowerbird.tables.view.rows.source import evaluation_surfaces, first_row_at
from bowerbird.tables.view.walls import LastOut, Moment, TimeWall, WithoutUsers, as_wall


class View(CatalogueReads):
    """A store seen from one side of a wall in time.

    Dense ids cover the whole store, so `n_users` and `n_items` are sizes of id spaces, not counts of what
    existed
    before the wall: use `users` and `known_items()` for those. No public attribute leads to rows past the
    wall.

    Args:
        store: An opened store.
        before: The wall: a `TimeWall`, a `LastOut`, milliseconds, a datetime with a zone, an ISO text, or
            None for no wall. Rows with time >= the wall do not exist.
        evaluation_rows: Show the rows of surfaces named `evaluation:...` (a randomised replay log). Never for
            training.
    """

    def narrow(self, before: Moment) -> View:
        """A view with an earlier wall.

        `LastOut(k)` holds out the last k positives of what this view shows; where this view already ends in a
        LastOut it replaces it and must hold out at least as many.

        Raises:
            WallError: The asked wall shows rows that this view does not.
        """
        wall = as_wall(before)
        kept = list(self._walls)
        if isinstance(wall, TimeWall):
            if any(isinstance(old, TimeWall) and wall.before > old.before for old in kept):
                raise self._past(
                    f"narrow({wall})", "ask for an earlier wall, or open a new View on the store"
                )
        elif isinstance(wall, LastOut) and kept and isinstance(kept[-1], LastOut):
            if wall.k < kept[-1].k:
                raise self._past(f"narrow({wall})", f"hold out at least {kept[-1].k} events a user")
            kept.pop()
        narrowed = View(self._store, evaluation_rows=self._evaluation_rows)
        for each in (*kept, wall):
            narrowed._add_wall(each)
        return narrowed

    def with_all_users(self) -> View:
        """The same wall without what hides whole users: who was kept from training, as they are asked about."""
        shown = View(self._store, evaluation_rows=self._evaluation_rows)
        for wall in self._walls:
            if not isinstance(wall, WithoutUsers):
                shown._add_wall(wall)
        return shown

    def with_evaluation_rows(self) -> View:
        """The same wall, with the rows of `evaluation:` surfaces shown. For evaluation only."""
        shown = View(self._store, evaluation_rows=True)
        for wall in self._walls:
            shown._add_wall(wall)
        return shown

    def held_out(self, earlier: View) -> HeldOut:
        """Rows visible here but not in `earlier`: the targets of an evaluation, by user block, then time.

        Raises:
            WallError: `earlier` reads another store, or shows a row that this view does not.
        """
        if earlier._store is not self._store:
            raise WallError(
                "held_out needs two views of one opened store. Fix: make both from the same Store."
            )
        wider = np.flatnonzero(earlier._visible > self._visible)
        if len(wider):
            raise WallError(
                f"held_out: the other view ({earlier.wall}) shows rows of user {int(wider[0])} past the wall "
                f"of this one ({self.wall}). Fix: call held_out on the later view and pass the earlier one."
            )
        between = VisibleEvents(self._store, self._rows(), self._visible, skip=earlier._visible)
        return held_out_rows(between, self.positive_mask)

    def take(self, rows: NDArray[np.int64]) -> EventRows:
        """Rows by absolute row number.

        Raises:
            WallError: A row does not exist or lies past the wall.
        """
        rows = np.asarray(rows, np.int64)
        events = self._store.events
        inside = (rows >= 0) & (rows < len(events.time))
        user = np.asarray(events.user[np.where(inside, rows, 0)]) if len(events.time) else rows
        bad = np.flatnonzero(~inside)
        if not len(bad):
            bad = np.flatnonzero(rows >= (self._start + self._visible)[user])
        if len(bad):
            raise self._past(f"take(row {int(rows[bad[0]])})", "ask only for rows that this view gave you")
        return event_rows(self._store, rows)

    def user_rows(self, users: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First visible row and end (exclusive) of each user: two int64 (B,) arrays of absolute rows."""
        users = self._checked_users(users)
        start = self._start[users]
        return start, start + self._visible[users]

    def rows_before(self, users: NDArray[np.int32], times: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """Where a history strictly before a moment ends: the first row with time >= it, or the wall.

        Args:
            users: int32 (B,).
            times: int64 (B,) or one moment, ms UTC.

        Returns:
            int64 (B,) absolute rows, fit for `histories(end=...)`.
        """
        start, end = self.user_rows(users)
        return first_row_at(self._store.events.time, start, end, times)

    def _checked_users(self, users: NDArray[np.int32]) -> NDArray[np.int32]:
        users = np.asarray(users)
        if not np.issubdtype(users.dtype, np.integer) and len(users):
            raise WallError(
                f"users must be dense integer ids, not {users.dtype}. Fix: view.user_ids.encode(...)."
            )
        bad = np.flatnonzero((users < 0) | (users >= self.n_users))
        if len(bad):
            raise WallError(
                f"user {int(users[bad[0]])} is not a dense id of this store (0 to {self.n_users - 1}). "
                "Fix: translate raw ids with view.user_ids.encode(...) and leave out unknown ones (-1)."
            )
        return users.astype(np.int32, copy=False)

    def histories(
        self,
        users: NDArray[np.int32],
        length: int,
        *,
        end: NDArray[np.int64] | None = None,
        positives_only: bool = True,
        actions: int | None = None,
        mentions: Sequence[MentionKind] = (),
        until: NDArray[np.int64] | None = None,
    ) -> HistoryBatch:
        """The last `length` qualifying rows of each user before `end`, oldest first, padded on the right.

        Args:
            users: int32 (B,) dense users.
            length: n, the longest history.
            end: int64 (B,) absolute rows (exclusive); None = everything visible.
            positives_only: Only rows with an action that is not negative (PinRec A1).
            actions: A bit mask: only rows with one of these actions (overrides `positives_only`).
            mentions: What else a history holds: `query`, `collection`. A mention has the item
                `n_items + code` (see `texts`), no action, row -1, and stands before the events of its moment.
            until: int64 (B,) ms of each request, with `mentions`: later ones are left out; the request's own
                query is there. None = all that are visible.

        Raises:
            WallError: An end lies past the wall or outside the user's rows, or a user is unknown.
        """
        if length < 0:
            raise WallError(f"histories(length={length}): a length is 0 or more.")
        users = self._checked_users(users)
        end_B = self.user_rows(users)[1] if end is None else np.asarray(end, np.int64)
        self._checked_ends(users, end_B)
        mask = actions if actions is not None else (self.positive_mask if positives_only else None)
        batch = last_rows(self._store, self._rows(mask), users, end_B, length)
        if not mentions:
            return batch
        until = np.full(len(users), FOREVER - 1) if until is None else np.asarray(until, np.int64)
        return with_mentions(batch, self.mentions(mentions), until, length, self.n_items)

    def _checked_ends(self, users: NDArray[np.int32], end: NDArray[np.int64]) -> NDArray[np.int64]:
        """First row of each user, once every end is known to lie inside the user's visible rows."""
        start, limit = self.user_rows(users)
        end_B = np.asarray(end)
        if end_B.shape != users.shape:
            raise WallError(f"histories: {len(users)} users, ends of shape {end_B.shape}. Fix: one end each.")
        for bad, asked in ((end_B > limit, "past"), (end_B < start, "before")):
            if bad.any():
                first = int(np.flatnonzero(bad)[0])
                raise self._past(
                    f"histories(user {int(users[first])}, end=row {int(end_B[first])}), {asked} the rows "
                    f"{int(start[first])} to {int(limit[first])} that are visible,",
                    "take ends from this view (user_rows, rows_before, slates) or use a later wall",
                )
        return start

    def history_sizes(
        self, users: NDArray[np.int32], end: NDArray[np.int64], *, positives_only: bool = True
    ) -> NDArray[np.int64]:
        """How many rows a history before `end` could hold at most: int64 (B,). Arguments as in
        `histories`.
        """
        users = self._checked_users(users)
        start = self._checked_ends(users, end)
        index = self._rows(self.positive_mask if positives_only else None)
        return index.find(np.asarray(end, np.int64)) - index.find(start)

    def slates(
        self, *, after: View | None = None, gap_ms: int = 0, surfaces: Sequence[str] | None = None
    ) -> Slates:
        """The visible slates, each with the row where a history for it must end.

        Args:
            after: Only slates that begin past the wall of this earlier view (for evaluation).
            gap_ms: The history ends this long before the slate's first row (0: strictly before its
                millisecond).
            surfaces: Only slates on these surfaces (raw names).

        Raises:
            WallError: An unknown surface, or a view of another store.
        """
        if after is not None and after._store is not self._store:
            raise WallError(
                "slates(after=...) needs two views of one opened store. Fix: use the same Store object."
            )
        shown = np.ones(len(self.surfaces), dtype=bool)
        if surfaces is not None:
            codes = self.surfaces.encode(list(surfaces))
            if (codes < 0).any():
                unknown = surfaces[int(np.flatnonzero(codes < 0)[0])]
                known = ", ".join(map(str, self.surfaces.decode(np.arange(len(self.surfaces)))))
                raise WallError(f"slates(surfaces=...): no surface {unknown!r}. Fix: choose from {known}.")
            shown[:] = False
            shown[codes] = True
        if not self._evaluation_rows:
            shown &= ~evaluation_surfaces(self._store)
        return Slates(
            self._store,
            self._visible,
            after=None if after is None else after._visible,
            gap_ms=gap_ms,
            shown_surfaces=shown,
        )
