"""The loss rows of one training batch: who asks, who is right, who else there is.

Positions point into the requests of a type in the batch's :class:`bowerbird.represent.nodes.batch.NodeBatch`.

Shapes: R rows, M random nodes, W sequences, L items of a sequence, X known items of a user.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bowerbird.represent.nodes.batch import NodeBatch

PAIR, FEATURE, USER = "pair", "feature", "user"
"""The tasks, as they name counters, logit scales and metrics."""


@dataclass(frozen=True)
class PairRows:
    """Entity pairs of one segment.

    Attributes:
        anchor_type, positive_type: of the two ends.
        anchor, positive: int64 (R,), requests.
        anchor_id, positive_id: int64 (R,).
        share: float32 (R,), log of the positive's share among the positives of this task and type.
    """

    anchor_type: str
    positive_type: str
    anchor: Tensor
    positive: Tensor
    anchor_id: Tensor
    positive_id: Tensor
    share: Tensor


@dataclass(frozen=True)
class FeatureRows:
    """Features that ask for the node they belong to, or whose neighbour they belong to.

    Attributes:
        source_type, feature: whose feature, and which.
        source: int64 (R,), among the distinct nodes of ``source_type``.
        positive_type, positive, positive_id, share: the node to be found; see :class:`PairRows`.
    """

    source_type: str
    feature: str
    source: Tensor
    positive_type: str
    positive: Tensor
    positive_id: Tensor
    share: Tensor


@dataclass(frozen=True)
class SequenceRows:
    """Sequences of items, and what their user does next and later.

    Attributes:
        item: int64 (W, L), item requests, 0 where padded. lengths: int64 (W,). time: int64 (W, L) ms.
        window, position: int64 (R,), the user vector that asks. positive, positive_id, share: as in :class:`PairRows`.
        future: bool (R,), whether the row asks for something after the sequence's end.
        right: int64 (W, X), items of the user that are no negatives, padded with -1.
        list_window, own_list: int64 (Y,), lists that the users of windows own: which window, which list request.
        list_type: their type; empty where users have none.
    """

    item: Tensor
    lengths: Tensor
    time: Tensor
    window: Tensor
    position: Tensor
    positive: Tensor
    positive_id: Tensor
    share: Tensor
    future: Tensor
    right: Tensor
    list_window: Tensor
    own_list: Tensor
    list_type: str = ""


@dataclass(frozen=True)
class RandomNodes:
    """Uniform nodes of one type.

    Attributes:
        request, ids: int64 (M,). population: how many nodes they were drawn from.
        share: task -> float32 (M,), log shares among that task's positives of this type.
    """

    request: Tensor
    ids: Tensor
    population: int
    share: Mapping[str, Tensor]


@dataclass(frozen=True)
class OmniSageBatch:
    """One training batch of one process.

    Attributes:
        nodes: what to embed. pairs, features: by segment. sequences: ``None`` without the user task.
        random: type -> random nodes.
        weight: what the summed loss is to be divided by.
    """

    nodes: NodeBatch
    pairs: tuple[PairRows, ...]
    features: tuple[FeatureRows, ...]
    sequences: SequenceRows | None
    random: Mapping[str, RandomNodes]
    weight: float

    def to(self, device: torch.device | str) -> OmniSageBatch:
        """The same batch on a device."""
        return OmniSageBatch(
            nodes=self.nodes.to(device),
            pairs=tuple(_moved(rows, device) for rows in self.pairs),
            features=tuple(_moved(rows, device) for rows in self.features),
            sequences=None if self.sequences is None else _moved(self.sequences, device),
            random={
                name: RandomNodes(
                    r.request.to(device),
                    r.ids.to(device),
                    r.population,
                    {k: v.to(device) for k, v in r.share.items()},
                )
                for name, r in self.random.items()
            },
            weight=self.weight,
        )


def _moved(rows: Any, device: torch.device | str) -> Any:
    tensors = {
        f.name: getattr(rows, f.name).to(device)
        for f in dataclasses.fields(rows)
        if isinstance(getattr(rows, f.name), Tensor)
    }
    return dataclasses.replace(rows, **tensors)
