"""Outcome budgets and embedding compression: how many candidates each generated vector may fetch (A5.2, A5.3).

Shapes: M vectors per request, De retrieval dimension, N total candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


def split_budget(total: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Split ``total`` candidates over outcomes; the parts always add up to ``total``.

    Each outcome receives its share rounded down; what rounding leaves over goes to the largest fraction first
    (A5.2). Fractions need not sum to one, they are normalised.

    Args:
        total: candidates to hand out, >= 0.
        fractions: outcome -> non-negative weight, at least one positive.

    Raises:
        ValueError: for a negative weight or when no weight is positive.
    """
    if any(weight < 0 for weight in fractions.values()):
        raise ValueError(f"outcome weights must not be negative: {dict(fractions)}")
    weight_sum = float(sum(fractions.values()))
    if weight_sum <= 0:
        raise ValueError("at least one outcome needs a positive weight")
    parts = {name: int(total * weight / weight_sum) for name, weight in fractions.items()}
    by_size = sorted(fractions, key=lambda name: (-fractions[name], name))
    for step in range(total - sum(parts.values())):
        parts[by_size[step % len(by_size)]] += 1
    return parts


def spread(total: int, parts: int) -> list[int]:
    """``total`` split into ``parts`` near-equal integers, the remainder going to the first ones."""
    base, extra = divmod(total, parts)
    return [base + (1 if part < extra else 0) for part in range(parts)]


def compress(vectors_MD: np.ndarray, budgets: Sequence[int], threshold: float) -> tuple[list[int], list[int]]:
    """Drop near-duplicate query vectors and give their budget to the vector that is kept (A5.3).

    Vectors are walked in generation order. One whose cosine with an already kept vector exceeds ``threshold`` is
    dropped and its budget moves to the most similar kept vector. The sum of budgets never changes. A threshold of
    1.0 merges exact duplicates only (up to float32 rounding).

    Args:
        vectors_MD: unit vectors (M, De), float32, in generation order.
        budgets: candidates per vector, length M.
        threshold: cosine above which two vectors count as one.

    Returns:
        ``(kept, budgets)``: indices of the kept vectors and their budgets, in generation order.
    """
    kept: list[int] = []
    out: list[int] = []
    limit = min(threshold, 1.0 - 1e-6)
    cosine_MM = vectors_MD @ vectors_MD.T
    for m, budget in enumerate(budgets):
        if kept:
            nearest = int(np.argmax(cosine_MM[m, kept]))
            if cosine_MM[m, kept[nearest]] > limit:
                out[nearest] += budget
                continue
        kept.append(m)
        out.append(budget)
    return kept, out


def vector_budgets(outcome_M: Sequence[str], shares: Mapping[str, float], total: int) -> list[int]:
    """Candidates each of M vectors may fetch: outcome shares of ``total``, split equally inside an outcome.

    Args:
        outcome_M: the outcome each vector was generated for.
        shares: outcome -> weight; every outcome with a positive weight has at least one vector.
        total: candidates in all.
    """
    by_outcome = split_budget(total, {name: share for name, share in shares.items() if share > 0})
    budgets = [0] * len(outcome_M)
    for name, part in by_outcome.items():
        members = [m for m, outcome in enumerate(outcome_M) if outcome == name]
        for m, share in zip(members, spread(part, len(members)), strict=True):
            budgets[m] = share
    return budgets


@dataclass(frozen=True)
class Merged:
    """One request's candidates, best first.

    Attributes:
        item: dense ids (n,), distinct. score: float32 (n,). vector: int (n,), which list each came from.
    """

    item: np.ndarray
    score: np.ndarray
    vector: np.ndarray


def merge(lists: Sequence[tuple[np.ndarray, np.ndarray]], shares: Sequence[int], k: int) -> Merged:
    """One list of at most ``k`` distinct items from the lists of several vectors (A5.4).

    Every vector contributes its first ``share`` items; an item found by several keeps its best score; places that
    repeated items leave open are filled with the vectors' next items. Items inside their vector's share are listed
    before such fillers, both by descending score, then by ascending id.

    Args:
        lists: per vector, item ids (-1 = none) and scores, best first.
        shares: per vector, its budget.
        k: length of the result.
    """
    item = np.concatenate([items for items, _ in lists])
    score = np.concatenate([scores for _, scores in lists]).astype(np.float32)
    vector = np.repeat(np.arange(len(lists)), [len(items) for items, _ in lists])
    filler = np.concatenate(
        [np.arange(len(items)) >= share for (items, _), share in zip(lists, shares, strict=True)]
    )
    order = np.lexsort((item, -score, filler))
    order = order[item[order] >= 0]
    _, first = np.unique(item[order], return_index=True)
    chosen = order[np.sort(first)][:k]
    return Merged(item[chosen], score[chosen], vector[chosen])
