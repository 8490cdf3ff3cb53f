"""From the probabilities of actions to one value an item: value = sum over actions of worth x probability.

Where a request says nothing, an action is worth 1 / its usual rate, so that worth x probability says how many times
likelier than usual it is. On average over a log every positive action then contributes 1, however rare it is: with
equal worths the most frequent action would decide alone. Negative actions count the same way against an item. Rates
below `LEAST_RATE` count as that: the probability of something that hardly ever happens is mostly noise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from bowerbird.serve.request import RequestError
from bowerbird.tables.errors import did_you_mean

LEAST_RATE = 0.01


def usual_values(
    actions: Sequence[str], negative: Collection[str], counts: Mapping[str, int], events: int
) -> dict[str, float]:
    """What each action is worth where a request says nothing.

    Args:
        actions: Those the model knows.
        negative: Those that are unwanted.
        counts: How many events of the log carry each.
        events: How many events the log has.
    """
    worth = {}
    for name in actions:
        rate = counts.get(name, 0) / max(1, events)
        worth[name] = (-1.0 if name in negative else 1.0) / max(rate, LEAST_RATE) if rate else 0.0
    return worth


def asked_values(asked: Mapping[str, float], known: Collection[str]) -> dict[str, float]:
    """The worths of a request over all known actions.

    Raises:
        RequestError: An action that is not known.
    """
    for name in asked:
        if name not in known:
            raise RequestError(f"unknown action {name!r}; {did_you_mean(name, known)}", field="values")
    return {name: float(asked.get(name, 0.0)) for name in known}


def value(probability_NC: np.ndarray, actions: Sequence[str], worth: Mapping[str, float]) -> np.ndarray:
    """float64 (N,): the value of each item."""
    found: np.ndarray = probability_NC @ np.array([worth.get(name, 0.0) for name in actions])
    return found
