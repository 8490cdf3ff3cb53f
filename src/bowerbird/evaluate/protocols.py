"""The ways to ask: leave-last-out, next event, everything after a wall, and everything after a moment in a session.

Shapes: H positive held-out rows (between two walls), C cases, T targets.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.cases import TARGET_COLUMNS, Cases, Protocol
from bowerbird.evaluate.positives import positives
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.schema import TIE_RULES

if TYPE_CHECKING:
    from bowerbird.tables.view import HeldOut, View

_SEEN_OUT = "items the user acted on before are left out of every list; a repeated item is no target"
_SESSION_GAP_MS = 30 * 60_000
_SEEN_IN = "items the user acted on before may be recommended again, and a repeated item is a target"


def leave_last_out_cases(
    view: View,
    earlier: View,
    *,
    train: View | None = None,
    exclude_seen: bool = True,
    min_history: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> Cases:
    """One case a user: the first positive event `view` shows and `earlier` does not (the literature's
    protocol).

    Args:
        view: shows the targets, e.g. `View(store)`.
        earlier: the view behind the wall, e.g. `View(store, LastOut(1))`.
        train: what training may read, for warm and cold; `earlier` when left out.
        exclude_seen: leave items of the user's history out of lists and targets.
        min_history: positive events a user needs before the target.
        limit: sample at most this many cases.
        seed: of that sample.
    """
    held = _positive_rows(view.held_out(earlier))
    first = np.unique(held.user, return_index=True)[1]
    first.sort()  # unique sorts by user; rows of the store may lie in another user order
    return _finish(
        _single_targets(held, first, view, earlier, train),
        Protocol(
            name="leave-last-out",
            targets="the last positive event of each user",
            history="the user's earlier positive events; other users' events up to their own last",
            **_shared(view, earlier, exclude_seen),
        ),
        exclude_seen=exclude_seen,
        min_history=min_history,
        limit=limit,
        seed=seed,
    )


def next_event_cases(
    view: View,
    earlier: View,
    *,
    train: View | None = None,
    same_session_only: bool = False,
    users: NDArray[np.bool_] | None = None,
    exclude_seen: bool = True,
    min_history: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> Cases:
    """Every positive event between the walls is a case; its history ends right before it (rolling).

    Rolling means live: a model may use what had happened before the case's time, by anybody, but its
    parameters are those learnt before the wall.

    Args:
        view: shows the targets.
        earlier: the view behind the wall.
        train: what training may read, for warm and cold; `earlier` when left out.
        same_session_only: only events with an earlier positive event of the user in the same slate
            (`request`).
        users: bool (U,), only these are asked about; everybody when left out.
        exclude_seen: leave items of the history out of lists and targets.
        min_history: positive events a user needs before the target.
        limit: sample at most this many cases.
        seed: of that sample.

    Raises:
        ConfigError: `same_session_only` on data without slates.
    """
    held = _positive_rows(view.held_out(earlier))
    chosen = np.arange(len(held))
    if same_session_only:
        if len(held) and (held.request < 0).all():
            raise ConfigError("same_session_only needs slates, and no held-out event belongs to one")
        chosen = np.flatnonzero(_continues_slate(view, held))
    if users is not None:
        chosen = chosen[users[held.user[chosen]]]
    session = " that has an earlier one of the user in its slate" if same_session_only else ""
    cases = _single_targets(held, chosen, view, earlier, train)
    return _finish(
        replace(cases, live=True),
        Protocol(
            name="next event, rolling",
            targets=f"each positive event after the wall{session}{'' if users is None else ', of some users only'}",
            history="the user's positive events before it; everybody's events before its time for counts",
            **_shared(view, earlier, exclude_seen),
        ),
        exclude_seen=exclude_seen,
        min_history=min_history,
        limit=limit,
        seed=seed,
    )


def future_cases(
    view: View,
    earlier: View,
    *,
    train: View | None = None,
    exclude_seen: bool = True,
    min_history: int = 1,
    limit: int | None = None,
    seed: int = 0,
) -> Cases:
    """One case a user at the wall: the targets are all items they act on positively between the walls.

    An item acted on several times is one target whose actions are joined.

    Args:
        view: shows the targets.
        earlier: the view behind the wall; histories end there for everybody.
        train: what training may read, for warm and cold; `earlier` when left out.
        exclude_seen: leave items of the history out of lists and targets.
        min_history: positive events a user needs before the wall; 0 keeps new users.
        limit: sample at most this many cases.
        seed: of that sample.
    """
    held = view.held_out(earlier)
    # The wall cuts each user's rows once: the first held-out row of any kind is where the history ends.
    users, first = np.unique(held.user, return_index=True)
    wall_row = np.zeros(view.n_users, np.int64)
    wall_row[users] = held.row[first]
    cases = _joined_targets(_positive_rows(held), wall_row, view, earlier, train)
    cases = replace(cases, time=np.full(len(cases), earlier.end_time, np.int64))
    return _finish(
        cases,
        Protocol(
            name="future after a wall",
            targets="every item with a positive event of the user between the walls",
            history="events before the wall, for the user and for everybody else",
            **_shared(view, earlier, exclude_seen),
        ),
        exclude_seen=exclude_seen,
        min_history=min_history,
        limit=limit,
        seed=seed,
    )


def in_session_cases(
    view: View,
    earlier: View,
    *,
    train: View | None = None,
    gap_ms: int = _SESSION_GAP_MS,
    exclude_seen: bool = True,
    limit: int | None = None,
    seed: int = 0,
) -> Cases:
    """One case a user in the middle of a session after the wall: the targets are everything they do from then on.

    This is the question a feed asks when it is scrolled: what comes in seconds, minutes and days, all at once.

    Args:
        view: shows the targets.
        earlier: the view behind the wall.
        train: what training may read, for warm and cold; `earlier` when left out.
        gap_ms: the history's last positive event lies at most this long before the case.
        exclude_seen: leave items of the user's history out of lists and targets.
        limit: sample at most this many cases.
        seed: of the moment drawn for each user, and of that sample.
    """
    held = _positive_rows(view.held_out(earlier))
    close = (np.diff(held.user, prepend=-1) == 0) & (np.diff(held.time, prepend=0) <= gap_ms)
    inside = np.flatnonzero(close)
    order = inside[np.lexsort((np.random.default_rng(seed).random(len(inside)), held.user[inside]))]
    chosen = order[np.unique(held.user[order], return_index=True)[1]]
    cut = np.full(view.n_users, np.iinfo(np.int64).max)
    cut[held.user[chosen]] = held.row[chosen]
    cases = _joined_targets(_kept_rows(held, held.row >= cut[held.user]), cut, view, earlier, train)
    return _finish(
        replace(cases, live=True),
        Protocol(
            name="from the middle of a session on",
            targets="every item with a positive event of the user from a random moment inside a session on",
            history=f"the user's positive events before it, the last one at most {gap_ms / 60_000:g} minutes old",
            **_shared(view, earlier, exclude_seen),
        ),
        exclude_seen=exclude_seen,
        min_history=1,
        limit=limit,
        seed=seed,
    )


def _finish(
    cases: Cases, protocol: Protocol, *, exclude_seen: bool, min_history: int, limit: int | None, seed: int
) -> Cases:
    """Repeats and users without history out, then the sample; the notes say how many went at each step."""
    notes: list[str] = []
    low, high = cases.log.ranges(cases.user, cases.history_end)
    enough = high - low >= min_history
    if not enough.all():
        notes.append(
            f"{int((~enough).sum())} cases with fewer than {min_history} earlier positive events left out"
        )
        cases = cases.subset(enough)
    if exclude_seen:
        target_user, target_end = cases.user[cases.target_case], cases.history_end[cases.target_case]
        again = cases.log.first_item_row(target_user, cases.target_item) < target_end
        if again.any():
            before = len(cases)
            cases = _keep_targets(cases, ~again)
            notes.append(
                f"{int(again.sum())} repeated targets left out, and with them {before - len(cases)} cases"
            )
    if limit is not None and limit < len(cases):
        notes.append(f"{limit} of {len(cases)} cases, drawn uniformly with seed {seed}")
    protocol = replace(protocol, notes=tuple(notes))
    return replace(cases.sample(limit, seed), protocol=protocol, exclude_seen=exclude_seen)


def _keep_targets(cases: Cases, keep_T: NDArray[np.bool_]) -> Cases:
    counts = np.bincount(cases.target_case[keep_T], minlength=len(cases))
    kept = {name: getattr(cases, name)[keep_T] for name in TARGET_COLUMNS}
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return replace(cases, target_offsets=offsets, **kept).subset(counts > 0)


def _joined_targets(
    held: HeldOut, history_end: NDArray[np.int64], view: View, earlier: View, train: View | None
) -> Cases:
    """One case a user: every held-out row is a target, an item acted on twice is one whose actions are joined.

    The moment of a case is that of its first target.
    """
    key = held.user.astype(np.int64) * view.n_items + held.item
    unique, first, which = np.unique(key, return_index=True, return_inverse=True)
    actions = np.zeros(len(unique), np.uint32)
    np.bitwise_or.at(actions, which, held.actions)
    order = np.argsort(first)  # back to the order of time inside a user
    first, actions = first[order], actions[order]
    user, item = held.user[first], held.item[first]
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    return Cases(
        user=user[starts],
        history_end=history_end[user[starts]],
        time=held.time[first][starts],
        surface=held.surface[first][starts],
        target_offsets=np.append(starts, len(first)).astype(np.int64),
        target_item=item,
        target_actions=actions,
        target_time=held.time[first],
        target_surface=held.surface[first],
        target_count=_train_counts(train or earlier)[item],
        view=view,
        earlier=earlier,
        train=train or earlier,
        protocol=_EMPTY,
    )


def _single_targets(
    held: HeldOut, chosen: NDArray[np.int64], view: View, earlier: View, train: View | None
) -> Cases:
    item = held.item[chosen]
    return Cases(
        user=held.user[chosen],
        history_end=held.row[chosen],
        time=held.time[chosen],
        surface=held.surface[chosen],
        target_offsets=np.arange(len(chosen) + 1, dtype=np.int64),
        target_item=item,
        target_actions=held.actions[chosen],
        target_time=held.time[chosen],
        target_surface=held.surface[chosen],
        target_count=_train_counts(train or earlier)[item],
        view=view,
        earlier=earlier,
        train=train or earlier,
        protocol=_EMPTY,
    )


def _positive_rows(held: HeldOut) -> HeldOut:
    return _kept_rows(held, held.positive)


def _kept_rows(held: HeldOut, keep: NDArray[np.bool_]) -> HeldOut:
    return replace(held, **{f.name: getattr(held, f.name)[keep] for f in fields(held)})


def _continues_slate(view: View, held: HeldOut) -> NDArray[np.bool_]:
    """Whether the user has an earlier positive event in the same slate."""
    return (held.request >= 0) & (positives(view).first_request_row(held.user, held.request) < held.row)


def _train_counts(train: View) -> NDArray[np.int64]:
    return positives(train).item_count


def _shared(view: View, earlier: View, exclude_seen: bool) -> dict[str, Any]:
    return {
        "seen": _SEEN_OUT if exclude_seen else _SEEN_IN,
        "universe": f"all {view.n_items} items of the store, no sampling",
        "slates": view.slate_rule or "the data has no slates",
        "event_ties": TIE_RULES[view.tie_rule],
        "walls": f"histories and training end at: {earlier.wall}; targets end at: {view.wall}",
    }


_EMPTY = Protocol("", "", "", "", "", "", "", "")
