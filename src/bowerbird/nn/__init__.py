"""Torch building blocks shared by every system; they know tensors, not tables.

``backbone`` the causal decoder, its KV cache and mutually blocked candidates · ``features`` times, ids, text and whole
items as vectors · ``losses`` sampled softmax and its probabilities · ``heads`` from a hidden state to an answer.
"""

from bowerbird.nn.backbone.attention import AttentionKernel, check_kernel
from bowerbird.nn.backbone.decoder import Decoder, DecoderConfig, candidate_mask
from bowerbird.nn.backbone.kv_cache import KVCache
from bowerbird.nn.features.hashing import HashEmbedding
from bowerbird.nn.features.items import ItemEmbedder, ItemFeatures, ItemFeatureSpec
from bowerbird.nn.features.phrases import PhraseEmbedder
from bowerbird.nn.features.text import encode_text
from bowerbird.nn.features.time import TimeEncoder
from bowerbird.nn.heads import ActionHeads, OutcomeHead
from bowerbird.nn.linear import Linear
from bowerbird.nn.losses.frequency import CountMinSketch, ExactCounter, FrequencyCounter, frequency_counter
from bowerbird.nn.losses.sampled_softmax import (
    Draw,
    Negatives,
    draw_negatives,
    negative_logsumexp,
    sampled_softmax,
)
from bowerbird.nn.losses.scale import LogitScale

__all__ = [
    "ActionHeads",
    "AttentionKernel",
    "CountMinSketch",
    "Decoder",
    "DecoderConfig",
    "Draw",
    "ExactCounter",
    "FrequencyCounter",
    "HashEmbedding",
    "ItemEmbedder",
    "ItemFeatureSpec",
    "ItemFeatures",
    "KVCache",
    "Linear",
    "LogitScale",
    "Negatives",
    "OutcomeHead",
    "PhraseEmbedder",
    "TimeEncoder",
    "candidate_mask",
    "check_kernel",
    "draw_negatives",
    "encode_text",
    "frequency_counter",
    "negative_logsumexp",
    "sampled_softmax",
]
