"""A pre-norm causal decoder that can stop, remember and go on: dense pass, cached steps, and candidate scoring.

One network serves retrieval and ranking (arXiv 2504.10507 A2, arXiv 2606.00422 B2): a history attends causally;
candidates, if any, attend to the whole history of their row and to themselves, never to each other, and all share
the position right after the history. Positions are learned and counted from the first token of the window, so
appending a token changes nothing that was computed before.

Shapes: B rows, N history tokens, S new tokens, K candidates, T real tokens of a batch, D width, H heads, Dh = D / H,
C cache capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask

from bowerbird.nn.backbone.attention import (
    AttentionKernel,
    Packing,
    appended_attention,
    candidate_attention,
    candidate_blocks,
    causal_attention,
    check_kernel,
    wants_flex,
    without_padding,
)
from bowerbird.nn.backbone.dropout import dropout
from bowerbird.nn.backbone.kv_cache import KVCache
from bowerbird.nn.linear import Linear


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of a decoder.

    Attributes:
        width: D; divisible by ``heads``.
        layers, heads: as named.
        feedforward: hidden width of the feed-forward block as a multiple of ``width``.
        dropout: on every residual branch.
        max_positions: most tokens of one row, generated tokens and the candidates' position included.
    """

    width: int = 96
    layers: int = 2
    heads: int = 2
    feedforward: int = 4
    dropout: float = 0.0
    max_positions: int = 256

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads, self.feedforward, self.max_positions) < 1:
            raise ValueError(
                f"width, layers, heads, feedforward and max_positions must be at least 1: {self}"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by {self.heads} heads")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")


class Block(nn.Module):
    """One pre-norm layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.width * config.feedforward
        self.heads = config.heads
        self.dropout = config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = Linear(width, 3 * width)
        self.out = Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.up = Linear(width, hidden)
        self.down = Linear(hidden, width)

    def project(self, x: Tensor, packing: Packing | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, N, Dh) of normalised inputs (B, N, D), or (T, D) where packed."""
        qkv = self.qkv(self.attention_norm(x))
        return self.split(qkv if packing is None else packing.unpack(qkv))

    def split(self, qkv_BNF: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, N, Dh) of the output of ``qkv`` (B, N, 3 D)."""
        batch, n, width = qkv_BNF.shape
        heads = qkv_BNF.view(batch, n, 3, self.heads, width // (3 * self.heads))
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def finish(self, x: Tensor, attended_BHND: Tensor, packing: Packing | None = None) -> Tensor:
        """Add the attention output and the feed-forward branch to the residual stream (the shape of ``x``)."""
        attended = attended_BHND.transpose(1, 2).flatten(2)
        return self.add(x, attended if packing is None else packing.pack(attended))

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """As :meth:`finish`, for attention outputs that have the shape of ``x`` already."""
        x = x + self._drop(self.out(attended))
        hidden = self.up.gelu(self.feedforward_norm(x))
        return x + self._drop(self.down(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout) if self.training else x


class Decoder(nn.Module):
    """See the module docstring. All three ways of computing agree within 1e-5 in float32, by either kernel.

    Args:
        config: its shape.
        attention: how candidates attend; a matter of the machine, not of the model, so no part of ``config``.
    """

    def __init__(self, config: DecoderConfig, attention: AttentionKernel = "auto") -> None:
        super().__init__()
        self.config, self.attention = config, check_kernel(attention)
        self.positions = nn.Embedding(config.max_positions, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.apply(_initialise)
        for block in self._blocks():  # GPT-2: residual branches start small, so depth keeps the stream's size
            for linear in (block.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / (2 * config.layers) ** 0.5)

    def forward(
        self,
        x_BND: Tensor,
        lengths_B: Tensor,
        candidates_BKD: Tensor | None = None,
        *,
        seen_BK: Tensor | None = None,
        candidate_lengths_B: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The dense pass.

        Args:
            x_BND: token vectors, right-padded.
            lengths_B: int64 (B,), real tokens per row. With padding on the right no real token ever sees a pad, so
                only candidates depend on it; it also lets heavily padded batches be computed without the padding.
            candidates_BKD: candidate vectors.
            seen_BK: int64, history tokens each candidate sees, at most its row's length; the whole history when left
                out. Slates shown at different times so share one history in training.
            candidate_lengths_B: int64 (B,), real candidates per row (right-padded); all K when left out.

        Returns:
            h (B, N, D); with candidates also their (B, K, D). Positions past a length are 0.
        """
        if candidates_BKD is None:
            return self._causal(x_BND, lengths_B)
        n, k = x_BND.shape[1], candidates_BKD.shape[1]
        self._check(n + 1)
        seen_BX = lengths_B[:, None] if seen_BK is None else seen_BK
        if candidate_lengths_B is None:
            candidate_lengths_B = torch.full_like(lengths_B, k)
        past, new = Packing.of(lengths_B, n), Packing.of(candidate_lengths_B, k)
        pattern = self.pattern_of(seen_BX, n, k)
        tokens = len(past.index_T)
        x = torch.cat(
            [past.pack(x_BND + self.positions.weight[:n]), new.pack(candidates_BKD + self.positions(seen_BX))]
        )
        for block in self._blocks():
            qkv = block.qkv(block.attention_norm(x))
            q, key, value = block.split(past.unpack(qkv[:tokens]))
            candidate_q, own_key, own_value = block.split(new.unpack(qkv[tokens:]))
            read = causal_attention(q, key, value)
            scored = candidate_attention(candidate_q, own_key, own_value, key, value, seen_BX, pattern)
            attended = [
                past.pack(read.transpose(1, 2).flatten(2)),
                new.pack(scored.transpose(1, 2).flatten(2)),
            ]
            x = block.add(x, torch.cat(attended))
        h = self.norm(x)
        return past.unpack(h[:tokens]), new.unpack(h[tokens:])

    def prefill(self, x_BND: Tensor, lengths_B: Tensor, room: int = 0) -> tuple[Tensor, KVCache]:
        """The dense pass over a history, keeping keys and values.

        Args:
            x_BND, lengths_B: as in :meth:`forward`.
            room: tokens per row that will be appended later.

        Returns:
            ``(h_BND, cache)``.
        """
        batch, n, width = x_BND.shape
        heads, device = self.config.heads, x_BND.device
        self._check(n + room)
        # under autocast keys come out in its type; a wider cache would be converted again at every step
        low = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if low else x_BND.dtype
        cache = KVCache.empty(
            self.config.layers, batch, heads, n + room, width // heads, dtype=dtype, device=device
        )
        cache.lengths_B = lengths_B.clone()
        return self._causal(x_BND, lengths_B, cache), cache

    def step(self, x_BSD: Tensor, cache: KVCache) -> Tensor:
        """Append S tokens to every row, each at its row's own length, and return their h (B, S, D).

        Raises:
            ValueError: if the cache has no room left.
        """
        s = x_BSD.shape[1]
        slots_BS = cache.lengths_B[:, None] + torch.arange(s, device=x_BSD.device)
        used = int(cache.lengths_B.max()) + s if len(x_BSD) else 0
        if used > cache.capacity:
            raise ValueError(f"the cache holds {cache.capacity} tokens per row; prefill with more room")
        self._check(used)
        x = x_BSD + self.positions(slots_BS)
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x)
            cache.write(layer, key, value, slots_BS)
            keys, values = cache.read(layer, used, q.dtype)
            x = block.finish(x, appended_attention(q, keys, values, slots_BS))
        cache.lengths_B = cache.lengths_B + s
        return self.norm(x)

    def score(
        self, x_BKD: Tensor, cache: KVCache, *, used: int | None = None, pattern: BlockMask | None = None
    ) -> Tensor:
        """Candidates against a cached history: h (B, K, D). The cache is left as it was.

        Args:
            x_BKD: candidate vectors.
            cache: the histories.
            used: slots to read, at least the longest length; found out when left out, for which an accelerator waits.
            pattern: what :meth:`pattern_of` gives for ``used`` slots, where the same pattern is scored many times.
        """
        if used is None:
            used = int(cache.lengths_B.max()) if len(x_BKD) else 0
        self._check(used + 1)
        x, seen_B1 = x_BKD + self.positions(cache.lengths_B)[:, None], cache.lengths_B[:, None]
        pattern = self.pattern_of(seen_B1, used, x.shape[1]) if pattern is None else pattern
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x)
            keys, values = cache.read(layer, used, q.dtype)
            x = block.finish(x, candidate_attention(q, key, value, keys, values, seen_B1, pattern))
        return self.norm(x)

    def _causal(self, x_BND: Tensor, lengths_B: Tensor, cache: KVCache | None = None) -> Tensor:
        n = x_BND.shape[1]
        self._check(n)
        packing = Packing.if_worth(lengths_B, n)
        x = x_BND + self.positions.weight[:n]
        if packing is not None:
            x = packing.pack(x)
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x, packing)
            if cache is not None:
                cache.keys[layer][:, :, :n] = key
                cache.values[layer][:, :, :n] = value
            x = block.finish(x, causal_attention(q, key, value), packing)
        h = self.norm(x)
        return packing.unpack(h) if packing is not None else without_padding(h, lengths_B)

    def pattern_of(self, seen_BX: Tensor, n: int, k: int) -> BlockMask | None:
        """The pattern of K candidates after N slots where FlexAttention is to compute it, otherwise None.

        Args:
            seen_BX: int64, slots each candidate sees: (B, K), or (B, 1).
        """
        flex = wants_flex(self.attention, seen_BX.device, self.config.width // self.config.heads)
        return candidate_blocks(seen_BX, n, k) if flex and seen_BX.numel() and k else None

    def _blocks(self) -> list[Block]:
        return list(self.blocks)  # type: ignore[arg-type]

    def _check(self, tokens: int) -> None:
        if tokens > self.config.max_positions:
            raise ValueError(
                f"{tokens} tokens in a row, but the decoder has {self.config.max_positions} positions"
            )


def candidate_mask(lengths_B: Tensor, n: int, k: int) -> Tensor:
    """Who may look at whom when N history tokens are followed by K candidates (B2.1).

    Returns:
        bool (B, N+K, N+K): history i sees history j <= i; a candidate sees its row's real history and itself.
    """
    device = lengths_B.device
    index = torch.arange(n, device=device)
    causal = index[None, :] <= index[:, None]
    mask = torch.zeros(len(lengths_B), n + k, n + k, dtype=torch.bool, device=device)
    mask[:, :n, :n] = causal
    mask[:, n:, :n] = (index[None, :] < lengths_B[:, None])[:, None]
    mask[:, n:, n:] = torch.eye(k, dtype=torch.bool, device=device)
    return mask


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
