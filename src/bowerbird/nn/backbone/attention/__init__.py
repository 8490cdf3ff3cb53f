"""Who attends to whom, and how padding stays out of the arithmetic."""

from bowerbird.nn.backbone.attention.packing import Packing, without_padding
from bowerbird.nn.backbone.attention.patterns import appended_attention, candidate_attention, causal_attention

__all__ = ["Packing", "appended_attention", "candidate_attention", "causal_attention", "without_padding"]
