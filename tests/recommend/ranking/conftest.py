from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.model import UniPinRec
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from recommend.worlds import slate_world


@pytest.fixture(scope="session")
def slates(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return slate_world(tmp_path_factory.mktemp("slates") / "store")


@pytest.fixture(scope="session")
def uni(tiny: PinRecConfig) -> UniPinRecConfig:
    return UniPinRecConfig(**(asdict(tiny) | {"keep_empty": 1.0}))


def untrained(store: Store, config: UniPinRecConfig) -> tuple[UniPinRec, Conditions, View]:
    """A network with random weights everywhere, so that no zero hides what is wired to what."""
    view = View(store)
    torch.manual_seed(3)
    conditions = Conditions.of(view)
    share = torch.full((view.n_items,), -2.5)
    facts = {"store_actions": ["click", "save", "hide"]}
    encoder = CatalogueEncoder.fit(view.item_table())
    model = OpenUniPinRec.network(config, conditions, encoder, view, share, facts=facts)
    assert isinstance(model, UniPinRec)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval(), conditions, view
