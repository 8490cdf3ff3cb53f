"""From probabilities per action to one number to sort by, and a retrieved list put into that order.

Shapes: B requests, K candidates, C actions of the store.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.ranking import Ranking
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.tables.errors import ConfigError, did_you_mean

_CASES = 512


def default_values(opened: OpenUniPinRec) -> dict[str, float]:
    """What each action is worth where a request does not say: wanted actions weigh by rarity, unwanted ones against.

    The weights are those the losses were balanced with (1 / sqrt(rate), 1 on average), so no frequent action drowns a
    rare one.
    """
    weights = opened.ranker.action_weight.tolist()
    signs = [1.0 if positive else -1.0 for positive in opened.positive_actions]
    return dict(zip(opened.actions, (s * w for s, w in zip(signs, weights, strict=True)), strict=True))


def value_weights(opened: OpenUniPinRec, values: Mapping[str, float]) -> np.ndarray:
    """float32 (C,), the weight of every action; the ones not named weigh nothing.

    Raises:
        ConfigError: for an action the model does not know.
    """
    for name in values:
        if name not in opened.actions:
            raise ConfigError(f"unknown action {name!r}; {did_you_mean(name, opened.actions)}")
    return np.array([values.get(name, 0.0) for name in opened.actions], np.float32)


def reranked(
    opened: OpenUniPinRec, cases: Cases, found: Ranking, k: int, values: Mapping[str, float]
) -> Ranking:
    """The best k of retrieved lists by value = sum over actions of weight x probability (B5.1).

    Args:
        opened: the model.
        cases: the questions.
        found: their retrieved lists, longer than k.
        k: places.
        values: action -> weight.
    """
    weight_C = torch.from_numpy(value_weights(opened, values))
    parts = []
    for low in range(0, len(cases), _CASES):
        chunk = cases.subset(slice(low, low + _CASES))
        items_BK = found.items[low : low + _CASES]
        history = opened.histories(chunk.user, chunk.history_end, view=chunk.view, time=chunk.time)
        encoded = opened.encode(history)
        ids_BK = torch.from_numpy(items_BK.astype(np.int64))
        surface_B = torch.from_numpy(opened.conditions.surface_codes(chunk.surface))
        probability_BKC = opened.rank(
            encoded,
            opened.vectors_IE[ids_BK.clamp(min=0)],
            ids_BK,
            time_B=torch.from_numpy(chunk.time),
            surface_B=surface_B,
            history=history,
            view=chunk.view,
        )
        value_BK = np.where(items_BK < 0, -np.inf, (probability_BKC @ weight_C).numpy())
        order = np.argsort(-value_BK, axis=1, kind="stable")[:, :k]
        parts.append(
            Ranking(
                np.take_along_axis(items_BK, order, axis=1),
                np.take_along_axis(value_BK, order, axis=1).astype(np.float32),
            )
        )
    return Ranking.stack(parts)
