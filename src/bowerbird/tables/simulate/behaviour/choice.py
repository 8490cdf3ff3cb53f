"""What people do with what they see: the true probability of every action, written down in one place.

For an examined item i shown to person u at time t while the topic of the moment is z, with fit in [0, 1]
the match of the item's topics with z, the person's interests and z's sister topics (see `scene`):

    logit_a = bias_a + gain_a * fit + appeal[i, a] + intent[u, slot(i), a] + <taste[u, a], style[i, a]>

each term at its configured strength. hide = sigmoid(logit_hide); otherwise click = sigmoid(logit_click)
and, only after a click, long_click = sigmoid(logit_long); otherwise also save = sigmoid(logit_save),
independent of the click. Appeal, intent, taste and style of different actions correlate by
`outcome_overlap` only: this is what makes a model that is told the wanted outcome better than one that is
not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from bowerbird.tables.simulate.behaviour.scene import HOME, Policy, Scene, fill_scene, new_scene
from bowerbird.tables.simulate.config import ACTIONS
from bowerbird.tables.simulate.world.items import STYLES, Catalogue

CLICK, LONG_CLICK, SAVE, HIDE = range(len(ACTIONS))
_GAIN = np.array([1.0, 0.35, 0.8, -0.6])  # a long click is already behind a click, so the topic says less


class Choice(NamedTuple):
    """bias: float64[A], found by calibration; the strengths are SimulationConfig's, in logits."""

    bias: np.ndarray
    affinity_gain: float
    appeal_strength: float
    intent_strength: float
    taste_strength: float
    position_decay: float


@njit(cache=True)
def logits(
    out: np.ndarray, people: np.ndarray, b: int, items: np.ndarray, item: int, scene: Scene, choice: Choice
) -> None:
    """Write the four logits of person b and an item into out (float64[A])."""
    me, it = people[b], items[item]
    fit = it.share * scene.fit[it.topic] + (1.0 - it.share) * scene.fit[it.second]
    slot = scene.slot[it.topic]
    for a in range(len(out)):
        value = choice.bias[a] + choice.affinity_gain * _GAIN[a] * fit + choice.appeal_strength * it.appeal[a]
        if slot >= 0:
            value += choice.intent_strength * me.intent[slot, a]
        product = 0.0
        for s in range(STYLES):
            product += me.taste[a, s] * it.style[a, s]
        out[a] = value + choice.taste_strength * product


@njit(cache=True)
def sigmoid(x: float) -> float:
    """1 / (1 + e^-x)."""
    return 1.0 / (1.0 + math.exp(-x))


@njit(cache=True)
def examined(position: int, choice: Choice) -> float:
    """Probability that a person looks at the slot at this position (0 first)."""
    return (1.0 + position) ** -choice.position_decay


def examination(positions: np.ndarray, choice: Choice) -> np.ndarray:
    """`examined` for an array of positions."""
    return np.asarray((1.0 + positions) ** -choice.position_decay)


@njit(cache=True)
def probability_of(action: int, logit: np.ndarray) -> float:
    """Probability of one action on an examined item, from the four logits. action -1: any action but hide."""
    stays = 1.0 - sigmoid(logit[HIDE])
    if action == HIDE:
        return 1.0 - stays
    click, save = sigmoid(logit[CLICK]), sigmoid(logit[SAVE])
    if action == CLICK:
        return stays * click
    if action == LONG_CLICK:
        return stays * click * sigmoid(logit[LONG_CLICK])
    if action == SAVE:
        return stays * save
    return stays * (1.0 - (1.0 - click) * (1.0 - save))


@njit(cache=True)
def pair_logits(
    people: np.ndarray,
    rows: np.ndarray,
    items: np.ndarray,
    moments: np.ndarray,
    times: np.ndarray,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
) -> np.ndarray:
    """Logits of R pairs.

    Args: people: PERSON[B]; rows: int64[R] into `people`; items: int64[R]; moments: int64[R] topics of the
    moment; times: int64[R] ms. Returns float64[R, A].
    """
    out = np.empty((len(rows), len(choice.bias)))
    scene = new_scene(len(catalogue.group))
    for r in range(len(rows)):
        # The rows of one request follow one another and share a scene. The surface does not touch what
        # people want.
        if r == 0 or rows[r] != rows[r - 1] or moments[r] != moments[r - 1] or times[r] != times[r - 1]:
            fill_scene(
                scene,
                people,
                rows[r],
                HOME,
                moments[r],
                times[r],
                catalogue.group,
                catalogue.group_start,
                policy,
            )
        logits(out[r], people, rows[r], catalogue.items, items[r], scene, choice)
    return out


@njit(cache=True)
def pair_probabilities(
    people: np.ndarray,
    rows: np.ndarray,
    items: np.ndarray,
    moments: np.ndarray,
    times: np.ndarray,
    action: int,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
) -> np.ndarray:
    """Probability of one action (-1: any but hide) of R pairs, given examination. Returns float64[R]."""
    logit = pair_logits(people, rows, items, moments, times, catalogue, choice, policy)
    out = np.empty(len(rows))
    for r in range(len(rows)):
        out[r] = probability_of(action, logit[r])
    return out


@njit(cache=True)
def catalogue_probabilities(
    people: np.ndarray,
    rows: np.ndarray,
    moments: np.ndarray,
    times: np.ndarray,
    action: int,
    catalogue: Catalogue,
    choice: Choice,
    policy: Policy,
) -> np.ndarray:
    """Probability of one action (-1: any but hide) of R requests on every item, given examination.

    Args: as `pair_logits`. Returns float64[R, I].
    """
    out = np.empty((len(rows), len(catalogue.items)))
    logit = np.empty(len(choice.bias))
    scene = new_scene(len(catalogue.group))
    for r in range(len(rows)):
        fill_scene(
            scene, people, rows[r], HOME, moments[r], times[r], catalogue.group, catalogue.group_start, policy
        )
        for item in range(out.shape[1]):
            logits(logit, people, rows[r], catalogue.items, item, scene, choice)
            out[r, item] = probability_of(action, logit)
    return out
