"""Item vectors: parts, unknown identities, round trips, and errors for features that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bowerbird.nn import ItemEmbedder, ItemFeatures, ItemFeatureSpec

ITEMS, DIM = 9, 8
BAG = (np.array([1, 2, 0, 3, 3, 1], np.int32), np.array([0, 2, 2, 3, 3, 5, 5, 6, 6, 6], np.int64))
FEATURES = ItemFeatures(
    bags={"tags": BAG},
    numbers=np.linspace(-1, 1, ITEMS * 2, dtype=np.float32).reshape(ITEMS, 2),
    vectors={"image": np.arange(ITEMS * 3, dtype=np.float32).reshape(ITEMS, 3)},
)
SPEC = ItemFeatureSpec(ITEMS, id_dim=4, bags={"tags": 4}, numbers=2, vectors={"image": 3}, content_dim=6)


def embedder(
    spec: ItemFeatureSpec = SPEC, features: ItemFeatures = FEATURES, **settings: float
) -> ItemEmbedder:
    torch.manual_seed(0)
    made = ItemEmbedder(spec, features, DIM, **settings).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made


@pytest.mark.parametrize("mixer", ["linear", "mlp", "residual"])
@pytest.mark.parametrize("id_mode", ["none", "table", "hash"])
def test_every_item_is_a_unit_vector_of_its_own(mixer: str, id_mode: str) -> None:
    made = embedder(replace(SPEC, mixer=mixer, id_mode=id_mode))  # type: ignore[arg-type]
    catalogue = made.embed_all(chunk=4)
    torch.testing.assert_close(catalogue.norm(dim=1), torch.ones(ITEMS), atol=1e-6, rtol=0)
    assert torch.cdist(catalogue, catalogue).add(torch.eye(ITEMS)).min() > 1e-3
    ids = torch.tensor([[3, 0, 3], [8, 1, 4]])
    torch.testing.assert_close(made(ids), catalogue[ids], atol=1e-6, rtol=0)


def test_parts_stand_side_by_side_before_the_mixer() -> None:
    spec = replace(SPEC, mixer="identity", id_dim=2, content_dim=2)
    made = embedder(spec)
    item = 4
    tags = made.tables["tags"].weight[torch.tensor([3, 3])].mean(0)
    image = made.lifts["image"](torch.from_numpy(FEATURES.vectors["image"][item]))
    numbers = made.number_lift(torch.from_numpy(FEATURES.numbers[item]))
    expected = torch.cat([made.identity.weight[item], tags, image, numbers])
    torch.testing.assert_close(made(torch.tensor(item)), F.normalize(expected, dim=0), atol=1e-6, rtol=0)


def test_an_empty_bag_adds_nothing() -> None:
    spec = ItemFeatureSpec(ITEMS, id_dim=2, bags={"tags": 4}, content_dim=6, mixer="identity")
    made = embedder(spec)
    assert made(torch.tensor([1, 3]))[:, 2:].abs().sum() == 0
    assert (made(torch.tensor([0, 2, 4, 6]))[:, 2:].abs().sum(dim=1) > 0).all()
    nothing = ItemFeatures(bags={"tags": (np.zeros(0, np.int32), np.zeros(ITEMS + 1, np.int64))})
    assert embedder(spec, nothing)(torch.arange(ITEMS))[:, 2:].abs().sum() == 0


@pytest.mark.parametrize("id_mode", ["table", "hash"])
def test_items_training_never_saw_lose_their_identity_only(id_mode: str) -> None:
    made = embedder(replace(SPEC, id_mode=id_mode))  # type: ignore[arg-type]
    before = made.embed_all()
    made.unseen[torch.tensor([2, 5])] = True
    after = made.embed_all()
    changed = (after - before).abs().amax(dim=1) > 1e-6
    assert changed.nonzero().flatten().tolist() == [2, 5]
    with torch.no_grad():
        for parameter in made.identity.parameters():
            parameter.normal_()
    again = made.embed_all()
    assert torch.equal(again[[2, 5]], after[[2, 5]]), "an unseen item does not read the identity table"
    assert ((again - after).abs().amax(dim=1) > 1e-6).sum() == ITEMS - 2


def test_identity_dropout_uses_the_same_unknown_row_and_trains_it() -> None:
    made = embedder(id_dropout=0.5)
    ids = torch.zeros(400, dtype=torch.long)
    known = made(ids[:1])[0]
    torch.testing.assert_close(
        made(ids), known.expand(400, -1), atol=1e-5, rtol=0
    )  # no dropout in evaluation
    made.unseen[0] = True
    unknown = made(ids[:1])[0]
    made.unseen[0] = False
    made.train()
    out = made(ids)
    is_known = (out - known).abs().amax(dim=1) < 1e-5
    is_unknown = (out - unknown).abs().amax(dim=1) < 1e-5
    assert (is_known ^ is_unknown).all()
    assert 140 < int(is_unknown.sum()) < 260
    out.sum().backward()
    assert made.unknown.grad.abs().sum() > 0
    torch.testing.assert_close(made.embed_all()[0], known, atol=1e-6, rtol=0)
    assert made.training


def test_gradients_reach_every_part() -> None:
    made = embedder().train()
    made(torch.arange(ITEMS)).square().mul(torch.arange(DIM)).sum().backward()
    without = {
        name
        for name, parameter in made.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    assert without == {"unknown"}


def test_features_and_spec_survive_a_round_trip() -> None:
    arrays = FEATURES.to_arrays() | {"something.else": np.zeros(1)}
    again = ItemFeatures.from_arrays(arrays)
    spec = ItemFeatureSpec(**json.loads(json.dumps(SPEC.to_dict())))
    made = embedder()
    other = ItemEmbedder(spec, again, DIM)
    other.load_state_dict(made.state_dict())
    assert torch.equal(other.embed_all(), made.embed_all())


def test_the_state_holds_weights_and_flags_but_no_catalogue() -> None:
    made = embedder()
    made.unseen[3] = True
    state = made.state_dict()
    assert not [name for name in state if name.startswith(("bag_", "vector_", "numbers"))]
    other = embedder()
    other.load_state_dict(state)
    assert other.unseen.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("name", ["price.usd", "type", "größe", "two words", "weight", "items"])
def test_any_column_name_is_a_feature_name(name: str) -> None:
    features = ItemFeatures(bags={name: BAG}, vectors={name: FEATURES.vectors["image"]})
    made = embedder(replace(SPEC, bags={name: 4}, vectors={name: 3}, numbers=0), features)
    renamed = embedder(replace(SPEC, numbers=0))
    torch.testing.assert_close(made.embed_all(), renamed.embed_all(), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("spec", "features", "says"),
    [
        (replace(SPEC, bags={"tags": 3}), FEATURES, "table has 3 rows"),
        (replace(SPEC, bags={"other": 3}), FEATURES, "other"),
        (replace(SPEC, n_items=ITEMS + 1), FEATURES, "offsets"),
        (replace(SPEC, vectors={"image": 4}), FEATURES, "image"),
        (replace(SPEC, numbers=3), FEATURES, "numbers"),
        (replace(SPEC, mixer="identity"), FEATURES, "identity mixer"),
        (ItemFeatureSpec(ITEMS, id_mode="none"), ItemFeatures(), "at least one"),
    ],
)
def test_features_that_do_not_fit_are_refused(
    spec: ItemFeatureSpec, features: ItemFeatures, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        embedder(spec, features)
