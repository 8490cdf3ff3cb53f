"""A pre-norm causal decoder that can stop, remember and go on: dense pass, cached steps, and candidate scoring.

One network serves retrieval and ranking (arXiv 2504.10507 A2, arXiv 2606.00422 B2): a history attends causally;
candidates, if any, attend to the whole history of their row and to themselves, never to each other, and all share
the position right after the history. Positions are learned and counted from the first token of the window, so
appending a token changes nothing that was computed before.

Shapes: B rows, N history tokens, S new tokens, K candidates, D width, H heads, Dh = D / H, C cache capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn.kv_cache import KVCache


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
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not divisible by {self.heads} heads")


class Block(nn.Module):
    """One pre-norm layer: attention, then feed-forward, each added to the residual stream."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, hidden = config.width, config.width * config.feedforward
        self.heads = config.heads
        self.dropout = config.dropout
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def project(self, x_BND: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, H, N, Dh) of normalised inputs."""
        batch, n, width = x_BND.shape
        qkv = self.qkv(self.attention_norm(x_BND)).view(batch, n, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def finish(self, x_BND: Tensor, attended_BHND: Tensor) -> Tensor:
        """Add the attention output and the feed-forward branch to the residual stream."""
        batch, n, width = x_BND.shape
        attended = attended_BHND.transpose(1, 2).reshape(batch, n, width)
        x_BND = x_BND + self._drop(self.out(attended))
        hidden = F.gelu(self.up(self.feedforward_norm(x_BND)))
        return x_BND + self._drop(self.down(hidden))

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, training=True) if self.training and self.dropout else x


class Decoder(nn.Module):
    """See the module docstring. All three ways of computing agree within 1e-5 in float32."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = nn.Embedding(config.max_positions, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.apply(_initialise)
        for (
            block
        ) in self._blocks():  # GPT-2: residual branches start small, so depth does not blow up the stream
            for linear in (block.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / (2 * config.layers) ** 0.5)

    def forward(
        self, x_BND: Tensor, lengths_B: Tensor, candidates_BKD: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The dense pass.

        Args:
            x_BND: token vectors, right-padded.
            lengths_B: int64 (B,), real tokens per row. Only candidates need it: with causal attention and padding on
                the right no real token ever sees a pad.
            candidates_BKD: candidate vectors.

        Returns:
            h (B, N, D); with candidates also their (B, K, D). Rows past a length hold no meaning.
        """
        if candidates_BKD is None:
            return self._causal(x_BND)
        n, k = x_BND.shape[1], candidates_BKD.shape[1]
        self._check(n + 1)
        positions = torch.arange(n, device=x_BND.device)
        x = torch.cat(
            [x_BND + self.positions(positions), candidates_BKD + self.positions(lengths_B)[:, None]], dim=1
        )
        mask = candidate_mask(lengths_B, n, k)[:, None]
        for block in self._blocks():
            q, key, value = block.project(x)
            x = block.finish(x, F.scaled_dot_product_attention(q, key, value, attn_mask=mask))
        h = self.norm(x)
        return h[:, :n], h[:, n:]

    def prefill(self, x_BND: Tensor, lengths_B: Tensor, room: int = 0) -> tuple[Tensor, KVCache]:
        """The dense pass over a history, keeping keys and values.

        Args:
            x_BND, lengths_B: as in :meth:`forward`.
            room: tokens per row that will be appended later.

        Returns:
            ``(h_BND, cache)``.
        """
        batch, n, width = x_BND.shape
        heads = self.config.heads
        cache = KVCache.empty(
            self.config.layers, batch, heads, n + room, width // heads, dtype=x_BND.dtype, device=x_BND.device
        )
        cache.lengths_B = lengths_B.clone()
        return self._causal(x_BND, cache), cache

    def step(self, x_BSD: Tensor, cache: KVCache) -> Tensor:
        """Append S tokens to every row, each at its row's own length, and return their h (B, S, D).

        Raises:
            ValueError: if the cache has no room left.
        """
        s = x_BSD.shape[1]
        slots_BS = cache.lengths_B[:, None] + torch.arange(s, device=x_BSD.device)
        if int(slots_BS.max()) >= cache.capacity:
            raise ValueError(f"the cache holds {cache.capacity} tokens per row; prefill with more room")
        self._check(int(slots_BS.max()) + 1)
        x = x_BSD + self.positions(slots_BS)
        mask = (torch.arange(cache.capacity, device=x.device) <= slots_BS[..., None])[:, None]
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x)
            cache.write(layer, key, value, slots_BS)
            keys, values = cache.keys[layer].to(q.dtype), cache.values[layer].to(q.dtype)
            x = block.finish(x, F.scaled_dot_product_attention(q, keys, values, attn_mask=mask))
        cache.lengths_B = cache.lengths_B + s
        return self.norm(x)

    def score(self, x_BKD: Tensor, cache: KVCache) -> Tensor:
        """Candidates against a cached history: h (B, K, D). The cache is left as it was."""
        k = x_BKD.shape[1]
        self._check(int(cache.lengths_B.max()) + 1)
        x = x_BKD + self.positions(cache.lengths_B)[:, None]
        seen = torch.arange(cache.capacity, device=x.device) < cache.lengths_B[:, None]
        own = torch.eye(k, dtype=torch.bool, device=x.device)
        mask = torch.cat([seen[:, None].expand(-1, k, -1), own.expand(len(x), k, k)], dim=-1)[:, None]
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x)
            keys = torch.cat([cache.keys[layer].to(q.dtype), key], dim=2)
            values = torch.cat([cache.values[layer].to(q.dtype), value], dim=2)
            x = block.finish(x, F.scaled_dot_product_attention(q, keys, values, attn_mask=mask))
        return self.norm(x)

    def _causal(self, x_BND: Tensor, cache: KVCache | None = None) -> Tensor:
        n = x_BND.shape[1]
        self._check(n)
        x = x_BND + self.positions(torch.arange(n, device=x_BND.device))
        for layer, block in enumerate(self._blocks()):
            q, key, value = block.project(x)
            if cache is not None:
                cache.keys[layer][:, :, :n] = key
                cache.values[layer][:, :, :n] = value
            x = block.finish(x, F.scaled_dot_product_attention(q, key, value, is_causal=True))
        return self.norm(x)

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
