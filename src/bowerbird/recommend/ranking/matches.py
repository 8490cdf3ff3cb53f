"""What a user did with things like a candidate: counts over the very history that the network reads.

A count-fed ranker knows how often a user saved something of this category. The same is read here from the tokens of the
history, so training and serving cannot differ: an event counts for a candidate where the two share a category (of each
column), are the same item, or always; once as it is and once for every action, over all the history and faded by age.

Shapes: B histories, N events, K candidates of each, C actions, I items, m codes of an item, T kinds of likeness,
H half-lives, X = H x (1 + C).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bowerbird.recommend.examples import Tokens

HALF_LIVES_HOURS = (0.25, 24.0, float("inf"))
"""The moment, the day, ever."""
CATEGORIES = "category_"
"""How the names of category columns begin among item features."""
_MOST_CODES = 8
"""Codes of one column read per item."""


class HistoryMatches(nn.Module):
    """See the module docstring. It has nothing to learn.

    Args:
        bags: column -> (int32 flat codes, int64 offsets (I + 1)).
        actions: C.

    Attributes:
        width: numbers per candidate, T x H x (1 + C).
    """

    half_lives: Tensor

    def __init__(self, bags: Mapping[str, tuple[np.ndarray, np.ndarray]], actions: int) -> None:
        super().__init__()
        self.actions, self._columns = actions, len(bags)
        for place, (codes, offsets) in enumerate(bags.values()):
            self.register_buffer(f"codes_{place}", _padded(codes, offsets), persistent=False)
        self.register_buffer("half_lives", torch.tensor(HALF_LIVES_HOURS) * 3_600_000.0, persistent=False)
        self.width = (2 + self._columns) * len(HALF_LIVES_HOURS) * (1 + actions)

    @torch.no_grad()
    def forward(self, tokens: Tokens, items_BK: Tensor, time_BK: Tensor, seen_BK: Tensor) -> Tensor:
        """float32 (B, K, width): log(1 + count) of every kind of likeness, half-life and action.

        Args:
            tokens: B histories.
            items_BK: int64 ids, -1 = unknown.
            time_BK: int64 ms of the requests; (B, 1) where all candidates of a row share theirs, which costs less.
            seen_BK: int64, how many events of the history had happened; (B, 1) likewise.
        """
        there_BKN = torch.arange(tokens.item.shape[1], device=items_BK.device) < seen_BK[..., None]
        alike = [there_BKN.expand(*items_BK.shape, -1)]
        alike.append(there_BKN & (items_BK[..., None] == tokens.item[:, None]))
        for place in range(self._columns):
            codes: Tensor = getattr(self, f"codes_{place}")
            own_BKM, past_BNM = _codes(codes, items_BK, -1), _codes(codes, tokens.item, -2)
            shared_BKN = torch.zeros_like(alike[0])
            for own_BK in own_BKM.unbind(-1):
                for past_BN in past_BNM.unbind(-1):
                    shared_BKN |= own_BK[..., None] == past_BN[:, None]
            alike.append(shared_BKN & there_BKN)
        alike_BKTN = torch.stack(alike, dim=2).float()
        # an event counts once as itself and once per action, faded: what a candidate adds up of those like it
        age_BKN = (time_BK[..., None] - tokens.time[:, None]).clamp(min=0).float()
        faded_BKNH = torch.exp2(-age_BKN[..., None] / self.half_lives)
        bits = torch.arange(self.actions, device=items_BK.device)
        done_BNC = ((tokens.deeds[..., None] >> bits) & 1).float()
        # a token with which nothing was done is no event
        done_BNC = torch.cat([(tokens.deeds != 0)[..., None].float(), done_BNC], dim=-1)
        worth_BKNX = (faded_BKNH[..., None] * done_BNC[:, None, :, None]).flatten(-2)
        if worth_BKNX.shape[1] == 1:  # one product for all candidates of a row
            rows, k, kinds, n = alike_BKTN.shape
            counts_BKTX = (alike_BKTN.reshape(rows, k * kinds, n) @ worth_BKNX[:, 0]).view(rows, k, kinds, -1)
        else:
            counts_BKTX = alike_BKTN @ worth_BKNX
        return torch.log1p(counts_BKTX).flatten(2)


def _codes(codes: Tensor, items_X: Tensor, nothing: int) -> Tensor:
    """(X, m) codes of items, ``nothing`` beyond them and for what is no item of the catalogue."""
    known_X = (items_X >= 0) & (items_X < len(codes))
    found_XM = codes[torch.where(known_X, items_X, 0)]
    return torch.where(known_X[..., None] & (found_XM >= 0), found_XM, nothing)


def _padded(codes: np.ndarray, offsets: np.ndarray) -> Tensor:
    """int32 (I, m), an item's first codes, -1 beyond them."""
    count = np.minimum(np.diff(offsets), _MOST_CODES)
    column = np.arange(max(1, int(count.max(initial=0))))
    filled = column < count[:, None]
    out = np.full(filled.shape, -1, np.int32)
    out[filled] = codes[(offsets[:-1, None] + column)[filled]]
    return torch.from_numpy(out)
