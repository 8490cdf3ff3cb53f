"""The generation loop: one encoded history, several steps, many query vectors (arXiv 2504.10507 A5.1).

Every step reads one hidden state and emits a vector for each outcome and offset asked for; one of the "now" vectors
is appended to the sequence as if it were the next item, and one cached decoder step follows. Vectors live in the
item space already, so the item embedder is skipped.

Shapes: B requests, M vectors = steps x outcomes x offsets, De item dimension, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bowerbird.recommend.inputs.conditions import UNSPECIFIED, Conditions
from bowerbird.recommend.model import SPARE_POSITIONS, Encoded, PinRec
from bowerbird.tables.errors import ConfigError


@dataclass(frozen=True)
class Plan:
    """What to generate.

    Attributes:
        outcomes: outcome name -> share of the budget; ``"any"`` asks for nothing in particular.
        steps: autoregressive steps.
        offsets: offset codes emitted per step; 0 is unspecified, 1 is "now", higher ones lie further ahead. The
            first one's vector is fed back.
        compress: cosine above which two vectors of a request are merged; 1.0 merges exact duplicates only.
        seed: of the outcome fed back at each step, drawn in proportion to the shares.
    """

    outcomes: Mapping[str, float] = field(default_factory=lambda: {UNSPECIFIED: 1.0})
    steps: int = 1
    offsets: Sequence[int] = (0,)
    compress: float = 1.0
    seed: int = 0

    def check(self, model: PinRec) -> None:
        """Raises ConfigError where the model cannot do what is asked."""
        if not 1 <= self.steps <= SPARE_POSITIONS:
            raise ConfigError(f"steps must lie between 1 and {SPARE_POSITIONS}, got {self.steps}")
        most = model.config.offset_buckets if model.config.offset_buckets > 1 else 0
        if not self.offsets or min(self.offsets) < 0 or max(self.offsets) > most:
            raise ConfigError(
                f"offset codes must lie between 0 and {most} for this model, got {list(self.offsets)}"
            )
        if not self.outcomes or min(self.outcomes.values()) < 0 or sum(self.outcomes.values()) <= 0:
            raise ConfigError(
                f"outcome shares must be non-negative and not all zero, got {dict(self.outcomes)}"
            )


@dataclass(frozen=True)
class Generated:
    """Query vectors of B requests, in generation order.

    Attributes:
        vectors_BME: unit vectors, float32.
        outcome, step, offset: the outcome name, step (from 1) and offset code of each of the M vectors.
    """

    vectors_BME: Tensor
    outcome: list[str]
    step: list[int]
    offset: list[int]


@torch.no_grad()
def generate(
    model: PinRec, conditions: Conditions, encoded: Encoded, plan: Plan, *, surface_B: Tensor, time_B: Tensor,
    shares_BO: np.ndarray | None = None,
) -> Generated:  # fmt: skip
    """Run the loop for a batch of encoded histories.

    Generated tokens are appended to the cache and taken back, so ``encoded`` is as it was afterwards.

    Args:
        model: in evaluation mode.
        conditions: the model's outcome names.
        encoded: histories of at least one event each, with room for ``plan.steps - 1`` more tokens.
        plan: what to generate.
        surface_B: int64 surface condition codes of the requests.
        time_B: int64 ms, when each request is made.
        shares_BO: where requests of one batch share their budgets differently: the share of each of the plan's
            outcomes per request. Its vectors then do not depend on the batch a request is in.

    Raises:
        ConfigError: if the plan does not fit the model.
    """
    plan.check(model)
    kept = [o for o, share in enumerate(plan.outcomes.values()) if share > 0]
    names = [list(plan.outcomes)[o] for o in kept]
    actions_O = torch.tensor([conditions.action(name) for name in names])
    masks_O = torch.tensor([conditions.mask(name) for name in names])
    shares = np.array([plan.outcomes[name] for name in names])
    feedback = np.random.default_rng(plan.seed)
    offsets_K = torch.tensor(list(plan.offsets))
    rows = torch.arange(len(encoded.last_BD))

    cache, lengths_B = encoded.cache, encoded.cache.lengths_B
    h_BD, previous_B = encoded.last_BD, encoded.time_B
    steps: list[Tensor] = []
    for step in range(plan.steps):
        vectors_BOKE = model.head(
            h_BD[:, None, None], actions_O[:, None], surface_B[:, None, None], offsets_K[None, :]
        ).expand(len(rows), len(names), len(plan.offsets), -1)
        steps.append(vectors_BOKE.reshape(len(rows), -1, vectors_BOKE.shape[-1]))
        if step + 1 == plan.steps:
            break
        if shares_BO is None:
            chosen = feedback.choice(len(names), size=len(rows), p=shares / shares.sum())
        else:
            chosen = _drawn(shares_BO[:, kept], feedback.random())
        chosen_B = torch.from_numpy(chosen)
        done_B = model.action_fed_back(actions_O[chosen_B], masks_O[chosen_B])
        x_B1D = model.token_vectors(
            vectors_BOKE[rows, chosen_B, 0][:, None], time_B[:, None], surface_B[:, None], done_B[:, None],
            previous_B[:, None],
        )  # fmt: skip
        h_BD, previous_B = model.decoder.step(x_B1D, cache)[:, 0], time_B
    cache.truncate(lengths_B)
    return Generated(
        torch.cat(steps, dim=1),
        outcome=[name for _ in range(plan.steps) for name in names for _ in plan.offsets],
        step=[step + 1 for step in range(plan.steps) for _ in names for _ in plan.offsets],
        offset=[offset for _ in range(plan.steps) for _ in names for offset in plan.offsets],
    )


def _drawn(shares_BO: np.ndarray, u: float) -> np.ndarray:
    """Per row the outcome at the same place ``u`` of its shares laid end to end; one without a share is never drawn."""
    ends_BO = np.cumsum(shares_BO, axis=1)
    reached_BO = ends_BO > u * ends_BO[:, -1:]
    found: np.ndarray = np.argmax(reached_BO, axis=1)
    return found
