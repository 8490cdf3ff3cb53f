"""What a store says about itself, checked against what it said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bowerbird.tables.errors import ConfigError, did_you_mean
from bowerbird.tables.schema import MAX_ACTIONS, TIE_RULES
from bowerbird.tables.store.manifest import Manifest

_ROWS_PER_BUCKET = 500_000
_MOST_BUCKETS = 1024


@dataclass(frozen=True)
class StoreSettings:
    """What a store says about itself. None means: keep what the store says already, else the default.

    Attributes:
        dataset: Name shown in reports.
        actions: Declared action names, in bit order.
        closed_actions: Whether no other action is accepted; None = closed where actions are declared.
        negative_actions: Actions that do not make an event positive.
        item_roles: Role of item feature columns (or `"title"`); the others are guessed.
        slate_rule: How slates were cut.
        tie_rule: Key of `TIE_RULES`, `"input"` by default; cannot change later.
        expected_events: Rough number of events, which sets the number of buckets of a new store.
        config: Settings to keep in the manifest.
    """

    dataset: str | None = None
    actions: Sequence[str] | None = None
    closed_actions: bool | None = None
    negative_actions: Sequence[str] | None = None
    item_roles: dict[str, str] = field(default_factory=dict)
    slate_rule: str | None = None
    tie_rule: str | None = None
    expected_events: int = 0
    config: dict[str, Any] = field(default_factory=dict)


def bucket_count(rows: int) -> int:
    """Number of buckets for a table of about `rows` rows: a power of two with about half a million rows each."""
    count = 1
    while count < _MOST_BUCKETS and count * _ROWS_PER_BUCKET < rows:
        count *= 2
    return count


def resolve_tie_rule(settings: StoreSettings, previous: Manifest | None) -> str:
    """The tie rule of the store.

    Raises:
        ConfigError: An unknown rule, or another one than the store has.
    """
    rule = settings.tie_rule or (previous.tie_rule if previous else "input")
    if rule not in TIE_RULES:
        raise ConfigError(f"unknown tie rule {rule!r}; {did_you_mean(rule, TIE_RULES)}")
    if previous and rule != previous.tie_rule:
        raise ConfigError(
            f"this store keeps tie rule {previous.tie_rule!r}; make a new store to use {rule!r}"
        )
    return rule


def resolve_actions(settings: StoreSettings, previous: Manifest | None) -> tuple[list[str], bool]:
    """Action names in bit order, and whether the list is closed. Bits of a store never change.

    Raises:
        ConfigError: More actions than bits, a name twice, or a negative action that is not declared.
    """
    known = list(previous.actions) if previous else []
    closed = settings.closed_actions
    if closed is None:
        closed = settings.actions is not None or bool(previous and previous.closed_actions)
    declared = list(settings.actions or [])
    if len(set(declared)) < len(declared):
        twice = sorted({name for name in declared if declared.count(name) > 1})
        raise ConfigError(f"actions declared twice: {', '.join(twice)}")
    actions = known + [name for name in declared if name not in known]
    if len(actions) > MAX_ACTIONS:
        raise ConfigError(f"{len(actions)} actions; a store holds at most {MAX_ACTIONS}. Merge rare ones")
    for name in settings.negative_actions or ():
        if closed and name not in actions:
            raise ConfigError(f"negative action {name!r} is not declared; {did_you_mean(name, actions)}")
    return actions, closed
