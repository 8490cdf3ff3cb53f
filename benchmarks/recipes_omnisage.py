"""The OmniSage settings behind the numbers in ``docs/results``, chosen on validation parts only."""

from __future__ import annotations

from dataclasses import replace

from bowerbird.represent.config import OmniSageConfig


def citeulike() -> OmniSageConfig:
    """citeulike-a: libraries without times or order, tags as text, citations; 17 000 articles, 5 500 libraries.

    On the validation part recall@20 over the full catalogue is 0.227 with the user vector alone and 0.238 with votes of
    the items (one seed), beside EASE 0.224, LightGCN 0.213, item-kNN 0.205, PageRank 0.177, content cosine 0.128. Twice
    the neighbours for 200 steps reach 0.226 and 0.235, twice the width 0.225, averaged weights 0.222. Votes of items of
    sharpness 6 to 18 and weight 1 to 1.5 are alike. Votes of lists, chosen with twice the neighbours, lift 0.237 to
    0.255; weights from 0.05 to 0.1 and sharpness from 20 to 40 give 0.251 to 0.255. Five and a half minutes of
    processor time.

    Command: ``python benchmarks/claims_omnisage.py --store STORE --cold-store COLD``.
    """
    return replace(
        OmniSageConfig(),
        use_time=False,
        ordered=False,
        history_length=64,
        sequences=128,
        pairs=512,
        random_nodes=512,
        features=128,
        learning_rate=4e-3,
        steps=300,
        validate_every=50,
        patience=0,
        votes=1.0,
        list_votes=0.05,
        list_sharpness=30.0,
    )


def citeulike_cold() -> OmniSageConfig:
    """The cold split of the same data: whole articles are dealt into folds, so that every positive is one that nobody
    kept yet.

    On the validation part recall@20 is 0.295 over the full catalogue and 0.306 among cold articles (one seed), beside
    0.143 and 0.241 for content cosine, 0.149 and 0.235 for PageRank. Items of a history vote for what others kept with
    them, and lists for what they hold, so there are no votes where new items are to stand beside old ones.
    """
    return replace(citeulike(), fold_by="item", steps=200, votes=0.0, list_votes=0.0)
