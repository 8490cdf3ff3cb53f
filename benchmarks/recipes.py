"""The PinRec settings behind every number in ``docs/results``: one function per data set.

Each docstring says what the recipe reaches, what it costs on two CPU cores, and which command runs it. Settings were
chosen on validation data only; the test split was read once per seed with the settings frozen.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.ranking.config import UniPinRecConfig


def amazon() -> PinRecConfig:
    """Amazon 5-core sequences (Beauty, Sports): order without times, one action, item attributes as categories.

    Command: ``python benchmarks/quality.py beauty --path FOLDER`` (or ``sports``).
    """
    return replace(
        PinRecConfig(),
        history_length=50,
        use_time=False,
        use_surface=False,
        outcome_conditioning=False,
        surface_conditioning=False,
        epochs=16,
        patience=4,
        validate_every=2,
        validation_cases=100_000,
    )


def sports() -> PinRecConfig:
    """Amazon Sports: the Amazon recipe with larger batches, less dropout and more epochs."""
    return replace(
        amazon(),
        epochs=20,
        validate_every=4,
        batch_positions=3072,
        learning_rate=2e-3,
        dropout=0.2,
        embedding_dropout=0.2,
    )


def beibei() -> PinRecConfig:
    """Beibei carts and buys: two outcomes, no order in time (a fixed random one is used), no content.

    Command: ``python benchmarks/quality.py beibei --path FOLDER``.
    """
    return replace(PinRecConfig(), history_length=50, use_time=False, use_surface=False, epochs=6, patience=2)


def movielens() -> PinRecConfig:
    """MovieLens latest-small: rate, like, love and tag as outcomes; titles, genres and year as content.

    Command: ``make demo``, or ``python benchmarks/quality.py movielens``.
    """
    return PinRecConfig.size("s")


def globo() -> PinRecConfig:
    """Globo.com news clicks: a third of the targets are articles born after the wall, and tastes drift by the hour.

    What is read now and what people turned to after the last article carry the lists. Articles carry no content here
    and identities are old within hours, so the network's own part of the blend is small. Settings were chosen on the
    validation day, the one before the last.

    Command: ``python benchmarks/quality.py globo --path FOLDER``.
    """
    return replace(
        PinRecConfig(),
        width=64,
        item_dim=64,
        id_dim=64,
        history_length=20,
        windows="last",
        recent_days=1.0,
        trend_half_lives_hours=(0.25, 1.0, 6.0),
        trend_step_minutes=5.0,
        transition_half_lives_hours=(1.0, 6.0),
        blend_hours=6.0,
        blend_cases=3_000,
        outcome_conditioning=False,
        surface_conditioning=False,
        dropout=0.1,
        embedding_dropout=0.1,
        id_dropout=0.1,
        learn_scale=True,
        batch_positions=4096,
        random_negatives=512,
        in_batch_negatives=1024,
        learning_rate=4e-3,
        epochs=2,
    )


def simulated() -> PinRecConfig:
    """The simulated platform at 2 x 10^5 rows: three outcomes, slates, text and categories.

    Command: ``python benchmarks/claims.py``.
    """
    return replace(
        PinRecConfig(),
        width=64,
        item_dim=64,
        id_dim=64,
        content_dim=32,
        history_length=48,
        dropout=0.1,
        embedding_dropout=0.1,
        id_dropout=0.1,
        offset_buckets=8,
        targets_per_anchor=3,
        epochs=10,
        learning_rate=2e-3,
        patience=2,
    )


def unified_simulated() -> UniPinRecConfig:
    """UniPinRec on the simulated platform: smaller batches (ranking wants more steps than retrieval) and more dropout,
    averaged weights, and more of the slates of a window in each step.

    Command: ``python benchmarks/claims_unipinrec.py``.
    """
    return replace(
        unified(simulated()), batch_positions=768, dropout=0.2, epochs=6, ema=0.98, slates_per_window=32
    )


def unified_movielens() -> UniPinRecConfig:
    """UniPinRec on MovieLens session slates, validated on fewer next events: on 10,000 that took longer than training.

    Command: ``python benchmarks/claims_unipinrec.py --recipe movielens``.
    """
    return replace(unified(movielens()), validation_cases=2_000)


def unified(base: PinRecConfig) -> UniPinRecConfig:
    """A PinRec recipe as a UniPinRec one: single-token and without outcome conditions, as the paper's tables are."""
    single = replace(base, offset_buckets=1, targets_per_anchor=1, outcome_conditioning=False)
    return UniPinRecConfig(**asdict(single))
