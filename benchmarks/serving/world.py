"""A synthetic platform and an untrained UniPinRec on it, shaped so that serving costs what it would cost.

What a request costs does not depend on what the weights have learned, with two exceptions, which are set here: item
vectors lie in clusters (an approximate index depends on that), and vectors of different outcomes and offsets differ
(otherwise they would be merged and fewer searched).

Shapes: I items, D dimension.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from bowerbird.recommend.ranking.config import UniPinRecConfig
    from bowerbird.recommend.ranking.opened import OpenUniPinRec
    from bowerbird.tables.store import Store

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
ACTIONS = ("click", "save", "long_click")
ITEMS_PER_CLUSTER, SPREAD = 100, 0.8
"""A random centre per 100 items plus noise of 0.8 of its length, as in `latency.py`."""
GATES = 0.1
"""Standard deviation of the conditions' gates: vectors of two conditions have a cosine of about 0.99."""


def make_store(folder: Path, *, items: int, users: int, history: int, seed: int) -> Store:
    """A store in which every user has a full history.

    Args:
        folder: Where to write; a store that is there already is opened as it is.
        items: Size of the catalogue.
        users: Their ids are 0 to users - 1.
        history: Most events a model reads. Users have `history` to 1.25 x `history` events, as many of each number:
            the engine's window then holds 3/4 to all of `history`, as it does for users who have been there for long.
        seed: Of the data.
    """
    import polars as pl

    from bowerbird.tables.store import Store, build_store

    if folder.exists():
        return Store.open(folder)
    rng = np.random.default_rng(seed)
    counts = history + np.arange(users) % max(1, history // 4)
    events = int(counts.sum())
    owner = np.repeat(np.arange(users), counts)
    time = START_MS + rng.integers(0, 30 * DAY_MS, events)
    time = time[np.lexsort((time, owner))]
    categories = rng.integers(0, 200, items)
    names = [f"category {number}" for number in range(200)]
    item_rows = pl.DataFrame(
        {
            "item_id": np.arange(items),
            "title": [f"item {number}" for number in range(items)],
            "category": [names[number] for number in categories],
        }
    )
    rows = pl.DataFrame(
        {
            "user_id": owner,
            "item_id": rng.integers(0, items, events),
            "timestamp": time,
            "actions": rng.choice(ACTIONS, events),
        }
    ).with_columns(pl.concat_list("actions"))
    roles = {"title": "title", "category": "category"}
    return build_store(folder, {"items": item_rows, "events": rows}, item_roles=roles, dataset="synthetic")


def config_of(size: str) -> UniPinRecConfig:
    """The settings of a size, `s` or `m`."""
    from dataclasses import asdict

    from bowerbird.recommend.config import PinRecConfig
    from bowerbird.recommend.ranking.config import UniPinRecConfig

    return replace(UniPinRecConfig(), **asdict(replace(PinRecConfig.size(size), outcome_conditioning=True)))


def untrained(store: Store, config: UniPinRecConfig, seed: int) -> OpenUniPinRec:
    """A network with random weights, opened on a store."""
    import torch

    from bowerbird.nn.features.catalogue import CatalogueEncoder
    from bowerbird.recommend.inputs.conditions import Conditions
    from bowerbird.recommend.ranking.opened import OpenUniPinRec
    from bowerbird.tables.view import View

    torch.manual_seed(seed)
    view = View(store)
    conditions, encoder = Conditions.of(view), CatalogueEncoder.fit(view.item_table())
    log_share = torch.full((view.n_items,), -float(np.log(view.n_items)))
    facts = {"store_actions": list(store.manifest.actions)}
    model = OpenUniPinRec.network(config, conditions, encoder, view, log_share, facts=facts)
    identity = model.items.identity
    assert isinstance(identity, torch.nn.Embedding)
    lay_in_clusters(identity.weight, seed)
    with torch.no_grad():
        for gate in (model.head.action_gate, model.head.surface_gate, model.head.offset_gate):
            if gate is not None:
                gate.weight.normal_(std=GATES)
    return OpenUniPinRec(model, conditions, view)


def lay_in_clusters(weight_ID: torch.Tensor, seed: int) -> None:
    """Overwrites identity rows in place, around random centres, equally long."""
    import torch

    rng = torch.Generator().manual_seed(seed)
    rows, dim = weight_ID.shape
    with torch.no_grad():
        weight_ID.normal_(generator=rng)
        centres = torch.randn(max(1, rows // ITEMS_PER_CLUSTER), dim, generator=rng)
        weight_ID.mul_(SPREAD).add_(centres[torch.randint(len(centres), (rows,), generator=rng)])
        # longer than the category's part, so that it decides
        weight_ID.mul_(1.5 / weight_ID.norm(dim=1, keepdim=True))
