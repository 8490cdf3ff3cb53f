"""Vectors to places on a plane, so that what is near stays near.

Few items are drawn by their two principal components. Of more, a sample is laid out by t-SNE (van der Maaten & Hinton,
JMLR 2008; Barnes-Hut, JMLR 2014) from those components, and every other item goes where its nearest sampled neighbours
are: t-SNE itself grows too slow, and what a map of 10^5 points shows does not change with it.

Shape letters: N items, D dimensions, P principal components, S sampled items, R others, K neighbours.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Method = Literal["pca", "tsne"]

SIDE = 9999
"""Places are whole numbers from 0 to this."""
FEW = 100
"""Fewer items than this are drawn by their principal components."""
_SAMPLE = 4000
_COMPONENTS = 50
_PERPLEXITY = 30.0
_STEPS = 600
_NEIGHBOURS = 5
_BLOCK = 512
"""Rows compared with the sample at once (8 MiB)."""


def method_for(n: int) -> Method:
    """How `n` items are laid out."""
    return "pca" if n < FEW else "tsne"


def layout(vectors_ND: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Places of items; equal for equal vectors and seeds on one machine.

    Args:
        vectors_ND: float32 (N, D), finite.
        seed: Of the sample, of t-SNE, and of the small steps that keep items with one neighbourhood apart.

    Returns:
        int32 (N, 2) from 0 to `SIDE`, which the cloud fills in its wider direction; it is spread most horizontally.
    """
    n = len(vectors_ND)
    x_NP = _components(vectors_ND)
    if method_for(n) == "pca":
        return _fitted(x_NP[:, :2])
    rng = np.random.default_rng(seed)
    sampled_S = np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))
    at_S2 = _tsne(x_NP[sampled_S], seed)
    at_N2 = np.empty((n, 2), np.float32)
    at_N2[sampled_S] = at_S2
    others_R = np.setdiff1d(np.arange(n), sampled_S, assume_unique=True)
    for low in range(0, len(others_R), _BLOCK):
        some = others_R[low : low + _BLOCK]
        at_N2[some] = _among(x_NP[some], x_NP[sampled_S], at_S2, rng)
    return _fitted(at_N2)


def _components(vectors_ND: np.ndarray) -> np.ndarray:
    """float32 (N, P) principal components, at least two, strongest first."""
    centred_ND = vectors_ND - vectors_ND.mean(axis=0) if len(vectors_ND) else vectors_ND
    _, axes_DD = np.linalg.eigh((centred_ND.T @ centred_ND).astype(np.float64))
    axes_DP = axes_DD[:, ::-1][:, :_COMPONENTS].astype(np.float32)
    # An axis may come out either way round: the way is settled, so that one machine draws what another draws.
    axes_DP *= np.sign(axes_DP[np.abs(axes_DP).argmax(axis=0), np.arange(axes_DP.shape[1])])
    x_NP = centred_ND @ axes_DP
    return np.pad(x_NP, ((0, 0), (0, max(0, 2 - x_NP.shape[1])))).astype(np.float32)


def _tsne(x_SP: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    spread = max(float(x_SP[:, 0].std()), 1e-12)
    start_S2 = (x_SP[:, :2] / spread * 1e-4).astype(np.float32)
    perplexity = min(_PERPLEXITY, (len(x_SP) - 1) / 4)
    found = TSNE(2, perplexity=perplexity, max_iter=_STEPS, init=start_S2, random_state=seed, n_jobs=1)
    return found.fit_transform(x_SP).astype(np.float32)


def _among(
    x_RP: np.ndarray, x_SP: np.ndarray, at_S2: np.ndarray, rng: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Places (R, 2) in the middle of the nearest sampled neighbours.

    The middle is the median of each coordinate: a mean would put an item with neighbours on two islands into the sea.
    A step of half the way to the nearest neighbour in a random direction keeps items apart that share a middle.
    """
    distance_RS = (x_SP**2).sum(axis=1) - 2.0 * (x_RP @ x_SP.T)
    near_RK = np.argpartition(distance_RS, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    at_RK2 = at_S2[near_RK]
    middle_R2 = np.median(at_RK2, axis=1)
    away_R = np.sqrt(((at_RK2 - middle_R2[:, None]) ** 2).sum(axis=2)).min(axis=1)
    turn_R = rng.uniform(0.0, 2.0 * np.pi, len(x_RP))
    step_R = rng.uniform(0.1, 0.5, len(x_RP)) * np.maximum(away_R, 1e-3 * np.ptp(at_S2))
    return middle_R2 + step_R[:, None] * np.stack([np.cos(turn_R), np.sin(turn_R)], axis=1)


def _fitted(at_N2: np.ndarray) -> np.ndarray:
    """Turned so that the cloud is spread most horizontally, scaled alike in both directions, in the middle."""
    if not len(at_N2):
        return np.zeros((0, 2), np.int32)
    centred_N2 = (at_N2 - at_N2.mean(axis=0)).astype(np.float64)
    _, axes_22 = np.linalg.eigh(centred_N2.T @ centred_N2)
    axes_22 = axes_22[:, ::-1] * np.sign(axes_22[np.abs(axes_22).argmax(axis=0), [0, 1]])[::-1]
    turned_N2 = centred_N2 @ axes_22
    low, high = turned_N2.min(axis=0), turned_N2.max(axis=0)
    width = float((high - low).max())
    scaled_N2 = (turned_N2 - (low + high) / 2) * (SIDE / width if width > 0 else 0.0) + SIDE / 2
    return np.clip(np.rint(scaled_N2), 0, SIDE).astype(np.int32)
