"""Which relations one walk may use and what it keeps (A.1), from settings or from what the graph has.

Two subsets by default, as in the paper: one through the lists that hold items, one along item-item relations, with
quotas of their own so that the rarer edges are not drowned; and a third one, ours, through what describes items
(tags, creators; not queries, which tell of the engagements that training is to foresee). Lists are collections; where
a store has none, users stand in for them (walked through, never kept). Item-item relations are those of the links
table; where there are none, items that somebody engaged with one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bowerbird.represent.config import OmniSageConfig
from bowerbird.tables.errors import ConfigError, did_you_mean

EMBEDDED = ("item", "collection")
"""Node types that get vectors; walks may pass through others."""

ENGAGED = "item-item"
"""The relation of items that one user engaged with one after the other."""


class RelationLike(Protocol):
    """The ends of a directed relation."""

    @property
    def source(self) -> str: ...

    @property
    def target(self) -> str: ...


@dataclass(frozen=True)
class SubsetSpec:
    """One subset: its relations with their reverses, and how many neighbours of each type are kept.

    The types of ``keep`` are in alphabetical order, whatever order they were given in: slots follow them, and weights
    follow slots.
    """

    name: str
    relations: tuple[str, ...]
    keep: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep", dict(sorted(self.keep.items())))


def subset_specs(
    config: OmniSageConfig, relations: Mapping[str, RelationLike], reverse: Mapping[str, str]
) -> list[SubsetSpec]:
    """The subsets of a graph.

    Args:
        config: with ``subsets``, or the sizes of the automatic ones.
        relations: name -> directed relation. reverse: name -> name of the same edges the other way round.

    Raises:
        ConfigError: a text that cannot be read, or names a relation or type that is not there.
    """
    if config.subsets:
        return [_parse(text, relations, reverse) for text in config.subsets]

    def between(a: str, b: str) -> tuple[str, ...]:
        return tuple(
            name for name, found in relations.items() if (found.source, found.target) in ((a, b), (b, a))
        )

    found = []
    lists = between("item", "collection")
    if lists:
        keep = {"item": config.saved_items, "collection": config.saved_collections}
        found.append(SubsetSpec("saved", lists, keep))
    elif between("user", "item"):
        keep = {"item": config.saved_items + config.saved_collections}
        found.append(SubsetSpec("saved", between("user", "item"), keep))
    # links say what belongs together; who was engaged with next is asked only where there are none
    links = tuple(name for name in between("item", "item") if name != ENGAGED)
    if links or between("item", "item"):
        linked = links or between("item", "item")
        found.append(SubsetSpec("linked", linked, {"item": config.linked_items}))
    # what items share through the nodes that describe them; such nodes are walked through, never kept
    described = tuple(
        name
        for name, ends in relations.items()
        if "item" in (ends.source, ends.target)
        and not {ends.source, ends.target} & {"collection", "user", "query"}
        and ends.source != ends.target
    )
    if described:
        found.append(SubsetSpec("described", described, {"item": config.described_items}))
    return [
        SubsetSpec(s.name, s.relations, {kind: k for kind, k in s.keep.items() if k > 0})
        for s in found
        if any(s.keep.values())
    ]


def _parse(text: str, relations: Mapping[str, RelationLike], reverse: Mapping[str, str]) -> SubsetSpec:
    name, first, rest = text.partition("=")
    walked, second, kept = rest.partition(":")
    if not first or not second or not name.strip():
        raise ConfigError(
            f"cannot read the subset {text!r}; write name=relation+relation:type=k,type=k, "
            "e.g. saved=item-collection:item=8,collection=16"
        )
    names: list[str] = []
    for relation in walked.split("+"):
        relation = relation.strip()
        if relation not in relations:
            raise ConfigError(
                f"subset {name!r}: no relation {relation!r}; {did_you_mean(relation, relations)}"
            )
        names += [relation, reverse[relation]]
    keep = {}
    for part in kept.split(","):
        kind, _, number = part.partition("=")
        if kind.strip() not in EMBEDDED or not number.strip().isdigit() or int(number) < 1:
            raise ConfigError(
                f"subset {name!r}: {part!r} says nothing to keep; write item=k or collection=k with k of at least 1"
            )
        keep[kind.strip()] = int(number)
    return SubsetSpec(name.strip(), tuple(dict.fromkeys(names)), keep)
