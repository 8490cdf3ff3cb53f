"""From a view to slate cases: which slates are asked about, and the rules in words.

Shapes: S slates, R rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.slates.cases import SlateCases, SlateProtocol
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.schema import TIE_RULES

if TYPE_CHECKING:
    from bowerbird.tables.view import View
    from bowerbird.tables.view.rows.slates import Slates

Users = Literal["all", "known", "new"]


def slate_cases(
    view: View,
    earlier: View,
    *,
    users: Users = "all",
    surfaces: Sequence[str] | None = None,
    gap_ms: int = 0,
    live: bool = True,
    min_size: int = 2,
    min_history: int = 0,
    limit: int | None = None,
    seed: int = 0,
) -> SlateCases:
    """Every slate that begins between two walls, with what was done with each row.

    Slates without any action stay in: nothing is downsampled, so rates and calibration are those of the platform.

    Args:
        view: shows the slates.
        earlier: the view before them; a slate that began before its wall is no case.
        users: "known" users have a row in `earlier`, "new" ones have none.
        surfaces: only slates of these surfaces (raw names).
        gap_ms: what is known ends this long before the slate (0: strictly before its first millisecond).
        live: counts may use everybody's rows before the slate, as a running platform would; else rows of other
            users end at `earlier`'s wall.
        min_size: rows a slate needs.
        min_history: positive events a user needs before the slate.
        limit: sample at most this many slates.
        seed: of that sample and of the order of rows.

    Raises:
        ConfigError: an unknown kind of users, or a `min_size` below 1.
        WallError: an unknown surface, a negative gap, or views of two stores.
    """
    return _build(
        view,
        earlier,
        "slates after a wall",
        users,
        surfaces,
        gap_ms,
        live,
        min_size,
        min_history,
        limit,
        seed,
    )


def training_slates(view: View, *, gap_ms: int = 0, min_size: int = 1, seed: int = 0) -> SlateCases:
    """All slates of a view, each with what was known before it: the training examples of a ranker on features.

    Args:
        view: what may be learnt from.
        gap_ms, min_size, seed: as in `slate_cases`.
    """
    return _build(view, None, "training slates", "all", None, gap_ms, True, min_size, 0, None, seed)


def _build(
    view: View,
    earlier: View | None,
    name: str,
    users: Users,
    surfaces: Sequence[str] | None,
    gap_ms: int,
    live: bool,
    min_size: int,
    min_history: int,
    limit: int | None,
    seed: int,
) -> SlateCases:
    if users not in get_args(Users):
        raise ConfigError(f"users={users!r} must be one of {', '.join(get_args(Users))}")
    if min_size < 1:
        raise ConfigError(f"min_size={min_size} must be at least 1")
    slates = view.slates(after=earlier, gap_ms=gap_ms, surfaces=surfaces)
    chosen = np.arange(len(slates))
    notes: list[str] = []

    def keep(flags: NDArray[np.bool_], why: str) -> None:
        nonlocal chosen
        if not flags.all():
            notes.append(f"{int((~flags).sum())} slates {why} left out")
            chosen = chosen[flags]

    keep(slates.size[chosen] >= min_size, f"of fewer than {min_size} rows")
    if users != "all" and earlier is not None:
        known = np.isin(slates.user[chosen], earlier.users)
        keep(known if users == "known" else ~known, "of new users" if users == "known" else "of known users")
    if min_history > 0:
        have = view.history_sizes(slates.user[chosen], slates.history_end[chosen])
        keep(have >= min_history, f"with fewer than {min_history} earlier positive events")
    if limit is not None and limit < len(chosen):
        notes.append(f"{limit} of {len(chosen)} slates, drawn uniformly with seed {seed}")
    protocol = _protocol(view, earlier, name, users, surfaces, gap_ms, live, tuple(notes))
    return _read(slates, chosen, view, earlier, protocol, live, gap_ms, seed).sample(limit, seed)


def _read(
    slates: Slates,
    chosen: NDArray[np.int64],
    view: View,
    earlier: View | None,
    protocol: SlateProtocol,
    live: bool,
    gap_ms: int,
    seed: int,
) -> SlateCases:
    sizes = slates.size[chosen].astype(np.int64)
    rows = slates.rows(chosen)
    owner = np.repeat(np.arange(len(chosen)), sizes)
    rows = rows[np.lexsort((np.random.default_rng([seed, 1]).random(len(rows)), owner))]
    events = view.take(rows)
    return SlateCases(
        user=slates.user[chosen],
        history_end=slates.history_end[chosen],
        time=slates.time[chosen],
        surface=slates.surface[chosen],
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        item=events.item,
        actions=events.actions,
        position=events.position,
        view=view,
        earlier=earlier,
        protocol=protocol,
        live=live,
        gap_ms=gap_ms,
    )


def _protocol(
    view: View,
    earlier: View | None,
    name: str,
    users: Users,
    surfaces: Sequence[str] | None,
    gap_ms: int,
    live: bool,
    notes: tuple[str, ...],
) -> SlateProtocol:
    before = f"{gap_ms} ms before" if gap_ms else "before"
    kept = "" if users == "all" else f" of {users} users"
    where = f" on {', '.join(surfaces)}" if surfaces is not None else ""
    protocol = SlateProtocol(
        name=name,
        slates=view.slate_rule or "the data has no slates",
        chosen=f"every slate{kept}{where} that begins after the wall; slates without any action are kept",
        history=f"the user's rows strictly {before} the slate's first row and its first millisecond",
        live=(
            f"counts may use everybody's rows strictly {before} the slate"
            if live
            else "counts use other users' rows only up to the wall"
        ),
        rows=f"shuffled inside each slate; rankers see neither the order nor the position{_seen_rows(view)}",
        event_ties=TIE_RULES[view.tie_rule],
        walls=f"slates end at: {view.wall}",
        notes=notes,
    )
    if earlier is None:
        return replace(protocol, chosen="every slate of the view")
    return replace(protocol, walls=f"training ends at: {earlier.wall}; slates end at: {view.wall}")


def _seen_rows(view: View) -> str:
    return "; rows of evaluation surfaces are shown" if view.fingerprint["evaluation_rows"] else ""
