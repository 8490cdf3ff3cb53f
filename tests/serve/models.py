"""Untrained models on the small world: random weights everywhere, so that no zero hides what is wired to what."""

from __future__ import annotations

import numpy as np
import torch

from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.serve.generators.pinrec import POOL_BYTES, UniPinRecGenerator
from bowerbird.tables.store import Store
from bowerbird.tables.view import MentionKind, View

LENGTH = 8


def opened(
    store: Store, *, interleave: bool = False, seed: int = 3, mentions: tuple[MentionKind, ...] = ()
) -> OpenUniPinRec:
    """A UniPinRec that reads eight events."""
    config = UniPinRecConfig(
        width=16, item_dim=16, id_dim=16, content_dim=8, layers=2, heads=2, history_length=LENGTH, dropout=0.0,
        embedding_dropout=0.0, interleave=interleave, mentions=mentions,
    )  # fmt: skip
    torch.manual_seed(seed)
    view = View(store)
    conditions, encoder = Conditions.of(view), CatalogueEncoder.fit(view.item_table())
    share = torch.full((view.n_items,), -float(np.log(view.n_items)))
    facts = {"store_actions": list(store.manifest.actions)}
    model = OpenUniPinRec.network(config, conditions, encoder, view, share, facts=facts)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return OpenUniPinRec(model, conditions, view)


def generator(
    store: Store,
    *,
    pool_bytes: int = POOL_BYTES,
    interleave: bool = False,
    mentions: tuple[MentionKind, ...] = (),
) -> UniPinRecGenerator:
    """It, behind the engine's seam."""
    made = opened(store, interleave=interleave, mentions=mentions)
    return UniPinRecGenerator(made, "uni-test", actions=store.manifest.actions, pool_bytes=pool_bytes)
