"""Ranking networks over a user's last events: target attention with cross layers, and HSTU."""

from bowerbird.evaluate.rankers.neural.hstu import HstuNetwork, HstuRanker
from bowerbird.evaluate.rankers.neural.ranker import NeuralRanker
from bowerbird.evaluate.rankers.neural.target_attention import TargetAttentionNetwork, TargetAttentionRanker

__all__ = ["HstuNetwork", "HstuRanker", "NeuralRanker", "TargetAttentionNetwork", "TargetAttentionRanker"]
