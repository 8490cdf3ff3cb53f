"""Reads about items and side tables: counts, features, known items, links, collections, trends.

Shape letters: I items.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError, did_you_mean
from bowerbird.tables.view.base import WalledStore
from bowerbird.tables.view.rows.ends import within_past
from bowerbird.tables.view.rows.events import VisibleEvents
from bowerbird.tables.view.rows.mentions import (
    KINDS,
    MentionKind,
    Mentions,
    Texts,
    assembled,
    collection_mentions,
    query_mentions,
    texts_of,
)
from bowerbird.tables.view.rows.trends import TrendTable
from bowerbird.tables.view.walls import LastOut, Moment, TimeWall, WithoutUsers, format_time, milliseconds

if TYPE_CHECKING:
    import polars as pl

    from bowerbird.tables.store import ItemTable


class CatalogueReads(WalledStore):
    """What a view tells about items and side tables: nothing that was made, dated or counted past the
    wall.
    """

    def item_counts(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        positives_only: bool = True,
        action: int | None = None,
    ) -> NDArray[np.int64]:
        """Number of visible events of each item: int64 (I,).

        Args:
            since, until: Count only since <= time < until.
            positives_only: Count only positive rows.
            action: Count only rows with this action code (overrides `positives_only`).

        Raises:
            WallError: `until` lies past the wall, or the action does not exist.
        """
        low = None if since is None else _moment(since)
        high = None if until is None else _moment(until)
        if high is not None and high > self._table_end:
            raise self._past(
                f"item_counts(until={format_time(high)})", "leave `until` out to count up to the wall"
            )
        counts = np.zeros(self.n_items, np.int64)
        for item, time in self._chosen(positives_only, action).columns("item", "time"):
            if low is not None or high is not None:
                keep = np.ones(len(item), dtype=bool)
                if low is not None:
                    keep &= time >= low
                if high is not None:
                    keep &= time < high
                item = item[keep]
            counts += np.bincount(item, minlength=self.n_items)
        return counts

    def _chosen(self, positives_only: bool, action: int | None) -> VisibleEvents:
        if action is None:
            return self.positives if positives_only else self.events
        if not 0 <= action < len(self.actions):
            raise WallError(f"action code {action} does not exist (0 to {len(self.actions) - 1}).")
        return VisibleEvents(self._store, self._rows(1 << action), self._visible)

    def known_items(self) -> NDArray[np.bool_]:
        """bool (I,): items that exist before the wall.

        An item exists once it is in a visible event, once its `created_at` has passed, or from the start
        where it has a row in the item table that does not say when it was made.
        """
        from bowerbird.tables.store import UNKNOWN_TIME

        table = self._store.item_table
        known = table.has_row & ((table.created == UNKNOWN_TIME) | (table.created < self._table_end))
        for (item,) in self.events.columns("item"):
            known[item] = True
        return known

    def item_table(self) -> ItemTable:
        """Item features as they were known before the wall.

        Items made at or after the wall lose every feature, their creator and their date (nulls, `has_row`
        False).
        """
        import polars as pl

        from bowerbird.tables.store import UNKNOWN_TIME

        table = self._store.item_table
        late = table.created >= self._table_end
        late &= table.created != UNKNOWN_TIME
        if not late.any():
            return table
        keep = pl.Series("keep", ~late)
        first, *rest = table.frame.columns
        frame = table.frame.select(
            pl.col(first), *(pl.when(keep).then(pl.col(name)).otherwise(None).alias(name) for name in rest)
        )
        return dataclasses.replace(
            table,
            frame=frame,
            created=np.where(late, UNKNOWN_TIME, table.created),
            creator=np.where(late, -1, table.creator).astype(np.int32),
            has_row=table.has_row & ~late,
        )

    def table(self, name: str, *, undated: bool = True) -> pl.LazyFrame:
        """Rows of `users`, `collections`, `links`, `labels` or `clips` with timestamp before the wall.

        Rows of users that a wall hides do not exist.
        Behind a `LastOut` wall the past of each user ends at another moment: a dated row of a user (an item put into a
        list, say) must then lie inside the past of that user (see `rows.ends`).

        Args:
            name: The table.
            undated: Keep rows without a timestamp (they are taken as known from the start).

        Raises:
            WallError: `events` or `items` is asked for: those have their own doors.
        """
        import polars as pl

        if name in ("events", "items"):
            door = "view.events" if name == "events" else "view.item_table()"
            raise WallError(f"table({name!r}) would show rows past the wall ({self.wall}). Fix: use {door}.")
        frame = self._store.table(name)
        names = frame.collect_schema().names()
        for wall in self._walls:
            if "user" in names and isinstance(wall, WithoutUsers):
                hidden = pl.Series(np.flatnonzero(wall.hides(self.n_users)), dtype=pl.Int32)
                frame = frame.filter(~pl.col("user").is_in(hidden.implode()).fill_null(False))
        if "timestamp" not in names:
            return frame if undated else frame.filter(pl.lit(False))
        before = pl.col("timestamp") < self._table_end
        if "user" in names and any(isinstance(wall, LastOut) for wall in self._walls):
            frame = within_past(self._store, self._visible, frame)
        return frame.filter(before | pl.col("timestamp").is_null() if undated else before)

    def links(self, relation: str | None = None, *, undated: bool = True) -> pl.LazyFrame:
        """Typed edges dated before the wall, all or of one relation."""
        import polars as pl

        frame = self.table("links", undated=undated)
        return frame if relation is None else frame.filter(pl.col("relation") == relation)

    def collections(self, *, undated: bool = True) -> pl.LazyFrame:
        """Items kept in titled lists before the wall."""
        return self.table("collections", undated=undated)

    @property
    def texts(self) -> Texts:
        """What users of this store name, whenever they did: codes of `mentions` to texts."""
        return texts_of(self._store)

    def mentions(self, kinds: Sequence[MentionKind] = KINDS) -> Mentions:
        """What users named before the wall: searches of visible rows, and titles of lists they filed items in.

        Titles are dated one millisecond behind the filing (see `bowerbird.tables.view.rows.mentions`).

        Args:
            kinds: Which of `query` and `collection`.

        Raises:
            WallError: Another kind is asked for.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise WallError(f"mentions: unknown kind {kind!r}; {did_you_mean(kind, KINDS)}")
        key = tuple(sorted(set(kinds)))
        if key not in self._mentions:
            parts: list[tuple[NDArray[Any], ...]] = []
            if "query" in key and len(self.queries):
                parts += query_mentions(self.events.columns("user", "time", "query", "surface", "request"))
            if "collection" in key:
                parts.append(collection_mentions(self._store, self.collections(undated=False)))
            self._mentions[key] = assembled(self._store, parts)
        return self._mentions[key]

    def trends(
        self,
        half_lives_ms: Sequence[int | float],
        step_ms: int,
        *,
        positives_only: bool = True,
        action: int | None = None,
    ) -> TrendTable:
        """Time-decayed item counts on a grid; a cell uses only visible rows strictly before its grid time.

        Args:
            half_lives_ms: One or more half-lives.
            step_ms: Grid step.
            positives_only, action: Which rows count, as in `item_counts`.
        """
        chunks = self._chosen(positives_only, action).columns("item", "time")
        return TrendTable(
            ((item, time) for item, time in chunks),
            n_items=self.n_items,
            half_lives_ms=half_lives_ms,
            step_ms=step_ms,
        )


def _moment(moment: Moment) -> int:
    if isinstance(moment, TimeWall):
        return moment.before
    if isinstance(moment, LastOut | WithoutUsers):
        raise WallError(
            f"a moment is needed here, not {type(moment).__name__}. Fix: give milliseconds UTC or a datetime."
        )
    return milliseconds(moment)
