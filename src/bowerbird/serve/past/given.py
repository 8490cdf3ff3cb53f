"""A history that came with the request, brought into the form of a stored one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.serve.past.trails import RECENT, code_of
from bowerbird.serve.past.window import Window
from bowerbird.serve.request import PastEvent, RawId, RequestError
from bowerbird.serve.response import Note
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.store import Store

_MINUTE = 60_000


@dataclass(frozen=True, eq=False)
class Given:
    """What can be used of a history in a request.

    Attributes:
        window: What the model reads: the newest positive events.
        seen: int32, its items, ascending.
        recent: int32, the last few items of positive events, also those the model cannot read, oldest first.
        unreadable: Positive events left out because the model has no vector of their item.
        notes: What else was left out.
    """

    window: Window
    seen: np.ndarray
    recent: np.ndarray
    unreadable: int = 0
    notes: tuple[Note, ...] = ()


def given(
    history: Sequence[PastEvent], store: Store, length: int, *, now: int, action: str | None, surface: int,
    readable: np.ndarray | None = None,
) -> Given:  # fmt: skip
    """Reads a history; unknown items are left out with a note.

    Args:
        history: As sent, oldest first where it has no times.
        store: For ids and actions.
        length: Most events of a window.
        now: Time of the request, ms UTC.
        action: What an event without an action did.
        surface: Code of the surface that its events happened on.
        readable: bool (I,), items the model has a vector of; None = all.

    Raises:
        RequestError: An action the platform does not have.
    """
    actions = store.manifest.actions
    items, times, masks, unknown = [], [], [], []
    moment = now - _MINUTE * len(history)
    for event in history:
        moment = min(moment, now - 1) if event.time is None else min(event.time, now - 1)
        name = action if event.action is None else event.action
        if name is not None and name not in actions:
            raise RequestError(
                f"unknown action {name!r}; {did_you_mean(name, actions)}", field="history.action"
            )
        code = code_of(store.items, event.item)
        if code < 0:
            unknown.append(event.item)
        else:
            items.append(code)
            times.append(moment)
            masks.append(1 << actions.index(name) if name is not None else 0)
        moment += _MINUTE
    whole = Window.of(items, times, masks, [surface] * len(items))
    positive = store.is_positive(whole.actions)
    liked = whole.where(positive).in_time_order()
    kept = liked if readable is None else liked.where(readable[liked.item])
    notes = (_left_out(unknown, len(history)),) if unknown else ()
    return Given(
        kept.newest(len(kept), length),
        np.unique(whole.item),
        liked.item[-RECENT:],
        len(liked) - len(kept),
        notes,
    )


def _left_out(unknown: Sequence[RawId], total: int) -> Note:
    shown = ", ".join(str(item)[:40] for item in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
    return Note(
        "unknown_item", f"{len(unknown)} of {total} items of the history are unknown and left out: {shown}"
    )
