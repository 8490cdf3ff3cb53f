"""How much of its attention a candidate pays to each past event: the weights of the last layer, averaged over heads.

A candidate reads the history as the next event would. For a UniPinRec that is how it is ranked; a PinRec has never
seen a candidate, but an item that would be taken next is read by it in just this way. The weights say what was read,
with exact numbers and at the price of one more pass over the answered items; they do not prove what an event caused.

Shapes: B rows, K candidates, N tokens of a history, H heads, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bowerbird.nn import Decoder
from bowerbird.nn.backbone.attention import candidate_attention
from bowerbird.nn.backbone.decoder import Block
from bowerbird.nn.backbone.kv_cache import KVCache


def attended(decoder: Decoder, x_BKD: Tensor, cache: KVCache) -> Tensor:
    """Weights (B, K, N) of candidates over the tokens of a cached history; the rest to 1 they paid to themselves.

    Args:
        decoder: Whose last layer is asked.
        x_BKD: Candidate tokens, as for `Decoder.score`.
        cache: Left as it was.
    """
    used = int(cache.lengths_B.max())
    hidden_BN = torch.arange(used) >= cache.lengths_B[:, None]
    x = x_BKD + decoder.positions(cache.lengths_B)[:, None]
    last = len(decoder.blocks) - 1
    for layer, block in enumerate(decoder.blocks):
        assert isinstance(block, Block)
        q, key, value = block.project(x)
        keys, values = cache.read(layer, used, q.dtype)
        if layer == last:
            return _weights(q, key, keys, hidden_BN)
        x = block.finish(x, candidate_attention(q, key, value, keys, values, cache.lengths_B[:, None]))
    raise ValueError("a decoder without layers pays no attention")


def _weights(q_BHKD: Tensor, own_BHKD: Tensor, past_BHND: Tensor, hidden_BN: Tensor) -> Tensor:
    q_BHKD = q_BHKD * q_BHKD.shape[-1] ** -0.5
    logits_BHKN = (q_BHKD @ past_BHND.transpose(-1, -2)).float()
    logits_BHKN = logits_BHKN.masked_fill(hidden_BN[:, None, None], float("-inf"))
    own_BHK1 = (q_BHKD * own_BHKD).sum(dim=-1, keepdim=True).float()
    weights = torch.cat([logits_BHKN, own_BHK1], dim=-1).softmax(dim=-1)
    return weights[..., :-1].mean(dim=1)
