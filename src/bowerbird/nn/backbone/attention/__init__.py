"""Who attends to whom, and how padding stays out of the arithmetic."""

from bowerbird.nn.backbone.attention.flex import (
    AttentionKernel,
    candidate_blocks,
    check_kernel,
    wants_flex,
)
from bowerbird.nn.backbone.attention.packing import Packing, without_padding
from bowerbird.nn.backbone.attention.patterns import appended_attention, candidate_attention, causal_attention

__all__ = [
    "AttentionKernel",
    "Packing",
    "appended_attention",
    "candidate_attention",
    "candidate_blocks",
    "causal_attention",
    "check_kernel",
    "wants_flex",
    "without_padding",
]
