"""With the logQ correction sampled softmax learns the ranking of full softmax; without it, it does not.

The world: 1,000 items with Zipf popularity, a few contexts with tastes of their own, negatives taken from the batch's
positives, hence drawn by popularity. Its right answer is known: the log probability of an item in a context.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bowerbird.nn import ExactCounter, Negatives, draw_negatives, negative_logsumexp, sampled_softmax

ITEMS, CONTEXTS, ROWS, STEPS = 1000, 2, 1024, 120


def truth() -> Tensor:
    """Probability of every item in every context, (C, I)."""
    rng = torch.Generator().manual_seed(0)
    popularity = -torch.arange(1, ITEMS + 1).float().log()
    return (popularity + 0.7 * torch.randn(CONTEXTS, ITEMS, generator=rng)).softmax(dim=1)


def learn(mode: str) -> Tensor:
    """Learned logits (C, I) after training on draws from the truth."""
    rng = torch.Generator().manual_seed(1)
    probability, counter = truth(), ExactCounter(ITEMS)
    vectors = torch.zeros(
        ITEMS, CONTEXTS, requires_grad=True
    )  # with one-hot anchors: one free logit per pair
    optimizer = torch.optim.Adam([vectors], lr=0.3)
    context = torch.arange(CONTEXTS).repeat_interleave(ROWS // CONTEXTS)
    anchor, one = torch.eye(CONTEXTS)[context], torch.tensor(1.0)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / STEPS)
        target = torch.multinomial(probability, ROWS // CONTEXTS, replacement=True, generator=rng).flatten()
        counter.update(target)
        share = counter.log_probability(torch.arange(ITEMS))
        positive = vectors[target, context]
        if mode == "full":
            negatives = Negatives(torch.arange(ITEMS), vectors, torch.zeros(ITEMS))
        else:
            corrected = mode == "corrected"
            drawn = draw_negatives(
                target, ITEMS, in_batch=ROWS // 4, random=0, log_share=share, rng=rng, correct=corrected
            )
            negatives = Negatives(drawn.ids_M, vectors[drawn.ids_M], drawn.log_q_M)
            if corrected:
                positive = positive - (ROWS // 4 * share[target].exp()).log()
        lse = negative_logsumexp(anchor, negatives, one, blocked_RX=negatives.locate(target)[:, None])
        loss = sampled_softmax(positive[:, None], lse).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return vectors.detach().T


def agreement(one_CI: Tensor, other_CI: Tensor) -> float:
    """Spearman correlation of two rankings of the 200 items most likely in each context, averaged over contexts."""
    total = 0.0
    for context in range(CONTEXTS):
        head = truth()[context].topk(200).indices
        ranks = torch.stack([one_CI[context, head], other_CI[context, head]]).argsort(1).argsort(1).float()
        total += float(torch.corrcoef(ranks)[0, 1])
    return total / CONTEXTS


@pytest.fixture(scope="module")
def learned() -> dict[str, Tensor]:
    return {mode: learn(mode) for mode in ("full", "corrected", "uncorrected")}


def test_corrected_sampling_learns_the_ranking_of_full_softmax(learned: dict[str, Tensor]) -> None:
    assert agreement(learned["full"], truth()) > 0.85
    assert agreement(learned["corrected"], truth()) > agreement(learned["full"], truth()) - 0.07
    assert agreement(learned["corrected"], learned["full"]) > 0.75


def test_uncorrected_sampling_does_not(learned: dict[str, Tensor]) -> None:
    assert agreement(learned["uncorrected"], truth()) < 0.4
    assert agreement(learned["uncorrected"], learned["full"]) < 0.4


def test_uncorrected_sampling_pushes_popular_items_down(learned: dict[str, Tensor]) -> None:
    overall = truth().mean(0)
    taste = truth().log() - overall.log()  # what is left when popularity is divided out
    assert agreement(learned["uncorrected"], taste) > 0.6 > agreement(learned["corrected"], taste)
