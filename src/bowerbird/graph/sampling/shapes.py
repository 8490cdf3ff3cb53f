"""What a sampler is asked for and what it gives back.

Shape letters: B sources, k length of one slot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.errors import GraphError

PADDING = -1
"""Id of an empty place in a slot."""


@dataclass(frozen=True)
class Subset:
    """Which edges one random walk may use, and what is kept of what it finds (OmniSage, section 3.1.1).

    Several subsets keep a frequent relation from drowning a rare one: each has a walk and quotas of its own. The
    paper's two, item to collection and item to item:

        >>> saves = Subset("saves", ("item-collection",), {"item": 25, "collection": 75})
        >>> led = Subset("led", ("item-item",), {"item": 50})

    Attributes:
        name: Name of the subset, used in `Slot`.
        relations: Names of relations. Their union is the graph that is walked, the degree of a node being the sum
            over all relations that leave its type.
        keep: How many neighbours to keep, by node type; one slot each, in this order.
        directed: Walk along the named relations only. By default each brings its reverse.
    """

    name: str
    relations: tuple[str, ...]
    keep: Mapping[str, int]
    directed: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.relations, str) or not self.relations:
            raise GraphError(
                f"subset {self.name!r}: relations must be a tuple of names, not {self.relations!r}.\n"
                '  Fix: write relations=("item-collection",)'
            )
        if not self.keep:
            raise GraphError(f"subset {self.name!r} keeps nothing.\n  Fix: say how many of which node type")
        for node_type, k in self.keep.items():
            if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
                raise GraphError(
                    f"subset {self.name!r}: cannot keep {k!r} nodes of type {node_type!r}; give a whole number from 1"
                )

    @property
    def slots(self) -> tuple[Slot, ...]:
        """One slot a node type, in the order of `keep`."""
        return tuple(Slot(self.name, node_type, int(k)) for node_type, k in self.keep.items())


@dataclass(frozen=True)
class Slot:
    """One list of neighbours: the best `k` nodes of one type that the walk of one subset finds.

    Attributes:
        subset: Name of the subset.
        node_type: Type of the neighbours.
        k: Length of the list.
    """

    subset: str
    node_type: str
    k: int


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Neighbours of a batch of nodes: one array of each kind a slot.

    Within a row the best score comes first, ties by smaller id; places that nothing was found for come last, with id
    -1, score 0 and a mask that is False. The node itself is never its own neighbour.

    Attributes:
        slots: What the arrays are.
        ids: int64 (B, k) dense ids of the slot's node type.
        scores: float32 (B, k) random walk with restart scores: the share of time that a walk from the source spends
            at the neighbour.
        mask: bool (B, k), True where there is a neighbour.
    """

    slots: tuple[Slot, ...]
    ids: tuple[NDArray[np.int64], ...]
    scores: tuple[NDArray[np.float32], ...]
    mask: tuple[NDArray[np.bool_], ...]

    @classmethod
    def of(
        cls,
        slots: tuple[Slot, ...],
        ids: tuple[NDArray[np.int64], ...],
        scores: tuple[NDArray[np.float32], ...],
    ) -> Neighbourhoods:
        """From padded ids and scores; the mask follows from the padding."""
        return cls(slots, ids, scores, tuple(found != PADDING for found in ids))

    def __len__(self) -> int:
        """Number of sources B."""
        return len(self.ids[0])

    @property
    def width(self) -> int:
        """Places in a row, over all slots."""
        return sum(slot.k for slot in self.slots)

    def slot(self, subset: str, node_type: str) -> int:
        """Position of a slot in the tuples.

        Raises:
            GraphError: There is no such slot.
        """
        for position, slot in enumerate(self.slots):
            if (slot.subset, slot.node_type) == (subset, node_type):
                return position
        known = ", ".join(f"({slot.subset!r}, {slot.node_type!r})" for slot in self.slots)
        raise GraphError(f"no slot for node type {node_type!r} in subset {subset!r}; there are {known}")
