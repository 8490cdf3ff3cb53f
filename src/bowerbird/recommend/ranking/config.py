"""What UniPinRec can be told beyond PinRec, and the arms that its claims compare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from bowerbird.nn import AttentionKernel
from bowerbird.recommend.config import PinRecConfig


@dataclass(frozen=True)
class UniPinRecConfig(PinRecConfig):
    """Settings of one UniPinRec model; see :class:`PinRecConfig` for the rest.

    Attributes:
        p_mask: share of history positions whose action is hidden and asked for (B2.2).
        slate_size: most rows of one slate in training; of a larger one this many are drawn.
        slates_per_window: most slates that share one history window in a step.
        keep_empty: share of the slates without any action that an epoch keeps (B1: 10 %); probabilities are corrected
            for the ones left out.
        slate_gap_seconds: a history ends at least this long before its slate.
        retrieve: train the item softmax; without it the model only ranks.
        rank_past: ask for the actions of masked history positions, too.
        rank_slates: ask for the actions of slates; without it (and ``rank_past``) the model only retrieves.
        item_bias: learn how much everybody does with an item as one number per action, beside the network. It starts at
            rates that hold the very rows to be learnt; ``counts`` knows the same without looking ahead.
        affinity: let the heads see the vector that retrieval would ask with: its products with the candidate's vector
            as further inputs, and their cosine with one learned weight per action; needs ``retrieve``.
        counts: let the heads of slates read how often an item had been shown and acted on, and what the user did with
            things like it (see ``rates`` and ``matches``).
        counts_step_hours: item rates are those of the last full step of so many hours before a request.
        action_loss: weight of the action losses beside the item softmax.
        interleave: one token per item and one per action, as in HSTU, instead of masked actions on the feature axis. At
            an equal number of tokens ``history_length`` is half.
        start_from: folder of a fitted artifact whose weights training starts from; empty = from scratch.
        freeze_items: keep the item embedder as it is (with ``start_from``: an index made from it stays valid).
        attention: how candidates attend: ``sdpa``, ``flex`` (FlexAttention, for accelerators), or ``auto`` for the one
            that suits the device. Both give the same numbers.
    """

    outcome_conditioning: bool = True
    p_mask: float = 0.2
    slate_size: int = 16
    slates_per_window: int = 16
    keep_empty: float = 0.1
    slate_gap_seconds: float = 0.0
    retrieve: bool = True
    rank_past: bool = True
    rank_slates: bool = True
    item_bias: bool = False
    affinity: bool = True
    counts: bool = True
    counts_step_hours: float = 24.0
    action_loss: float = 1.0
    interleave: bool = False
    start_from: str = ""
    freeze_items: bool = False
    attention: AttentionKernel = "auto"

    def retrieval_only(self) -> Self:
        """PinRec with the same input: nothing is masked, nothing is ranked."""
        return replace(self, p_mask=0.0, rank_past=False, rank_slates=False)

    def plain(self) -> Self:
        """Heads on hidden states alone, as published: no item bias, no affinity, no counts."""
        return replace(self, item_bias=False, affinity=False, counts=False)

    def ranking_only(self) -> Self:
        """The action losses alone."""
        return replace(self, retrieve=False)

    def interleaved(self, *, equal_tokens: bool = True) -> Self:
        """HSTU-style input; half the events where the number of tokens is to stay the same."""
        length = max(2, self.history_length // 2) if equal_tokens else self.history_length
        return replace(self, interleave=True, p_mask=0.0, history_length=length)
