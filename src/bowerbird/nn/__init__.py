"""Torch building blocks shared by every system: decoder with KV cache, time and item features, heads, losses."""

from bowerbird.nn.decoder import Decoder, DecoderConfig, candidate_mask
from bowerbird.nn.frequency import CountMinSketch, ExactCounter, FrequencyCounter, frequency_counter
from bowerbird.nn.hashing import HashEmbedding
from bowerbird.nn.heads import ActionHeads, OutcomeHead
from bowerbird.nn.items import ItemEmbedder, ItemFeatures, ItemFeatureSpec
from bowerbird.nn.kv_cache import KVCache
from bowerbird.nn.sampled_softmax import Draw, Negatives, draw_negatives, negative_logsumexp, sampled_softmax
from bowerbird.nn.scale import LogitScale
from bowerbird.nn.text import encode_text
from bowerbird.nn.time import TimeEncoder

__all__ = [
    "ActionHeads",
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
    "LogitScale",
    "Negatives",
    "OutcomeHead",
    "TimeEncoder",
    "candidate_mask",
    "draw_negatives",
    "encode_text",
    "frequency_counter",
    "negative_logsumexp",
    "sampled_softmax",
]
