"""Node embedders: padding, order and batches do not matter; neighbours, scores and features do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bowerbird.nn import ItemFeatures
from bowerbird.represent.nodes.aggregators import EncoderLayer
from bowerbird.represent.nodes.batch import Asked, Members, NodeBatch, node_batch
from bowerbird.represent.nodes.embedder import NodeEmbedders, NodeShape
from bowerbird.represent.nodes.features import NodeContent, member_mean, rarity

from .worlds import FakeNear, FakeSlot, fake_near

SLOTS = (FakeSlot("saved", "item", 3), FakeSlot("saved", "collection", 2))
KINDS = ["transformer", "mean", "pinsage", "graphsage", "gat"]


def contents(count: int = 6) -> dict[str, NodeContent]:
    """Items with a number each, and two collections of them."""
    numbers = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
    items = NodeContent(count, ItemFeatures(numbers=numbers), id_mode="table")
    lists = NodeContent(
        2,
        ItemFeatures(),
        member_type="item",
        member_offsets=np.array([0, 3, 5]),
        members=np.array([0, 1, 2, 3, 4]),
    )
    return {"item": items, "collection": lists}


def embedders(kind: str = "transformer", **more: object) -> NodeEmbedders:
    torch.manual_seed(0)
    shape = NodeShape(kind, width=8, heads=2, dim=6, feature_dim=4, dropout=0.0, **more)  # type: ignore[arg-type]
    return NodeEmbedders(contents(), {"item": SLOTS, "collection": SLOTS}, shape).eval()


def batch(
    ids: list[int], near: FakeNear, *, without: list[int] | None = None, kind: str = "item"
) -> NodeBatch:
    rows = np.array(ids, np.int64)
    asked = Asked(
        rows, near, np.log1p(rows.astype(np.float32)), np.array(without or [-1] * len(ids)),
        np.zeros(len(ids), dtype=bool),
    )  # fmt: skip
    lists = contents()["collection"]
    assert lists.member_offsets is not None and lists.members is not None
    return node_batch({kind: asked}, {"collection": ("item", lists.member_offsets, lists.members)})


NEAR = [[[(1, 0.3), (2, 0.1)], [(0, 0.2)]], [[], []], [[(5, 0.5)], [(1, 0.4), (0, 0.1)]]]


@pytest.mark.parametrize("kind", KINDS)
class TestEmbedding:
    def test_vectors_are_unit_and_apart(self, kind: str) -> None:
        found, _ = embedders(kind)(batch([0, 3, 4], fake_near(NEAR, SLOTS)))
        torch.testing.assert_close(found["item"].norm(dim=-1), torch.ones(3))
        assert not torch.allclose(found["item"][0], found["item"][2])

    def test_more_padding_changes_nothing(self, kind: str) -> None:
        model = embedders(kind)
        wide = (FakeSlot("saved", "item", 3), FakeSlot("saved", "collection", 2))
        near = fake_near(NEAR, wide)
        rubbish = fake_near(NEAR, wide)
        for ids, scores, mask in zip(rubbish.ids, rubbish.scores, rubbish.mask, strict=True):
            scores[~mask], ids[~mask] = 9.0, -1
        with torch.no_grad():
            one, other = (model(batch([0, 3, 4], n))[0]["item"] for n in (near, rubbish))
        torch.testing.assert_close(one, other)

    def test_company_does_not_matter(self, kind: str) -> None:
        model = embedders(kind)
        with torch.no_grad():
            together = model(batch([0, 3, 4], fake_near(NEAR, SLOTS)))[0]["item"]
            alone = model(batch([4], fake_near(NEAR[2:], SLOTS)))[0]["item"]
        torch.testing.assert_close(together[2:], alone, atol=1e-6, rtol=0)

    def test_neighbours_matter(self, kind: str) -> None:
        model = embedders(kind)
        with torch.no_grad():
            with_them = model(batch([0], fake_near(NEAR[:1], SLOTS)))[0]["item"]
            without = model(batch([0], fake_near(NEAR[1:2], SLOTS)))[0]["item"]
        assert not torch.allclose(with_them, without, atol=1e-4)


def test_without_a_graph_neighbours_do_not_matter() -> None:
    model = embedders("none")
    with torch.no_grad():
        one = model(batch([0], fake_near(NEAR[:1], SLOTS)))[0]["item"]
        other = model(batch([0], fake_near(NEAR[1:2], SLOTS)))[0]["item"]
    torch.testing.assert_close(one, other)


def test_scores_gate() -> None:
    model = embedders(skip=False)
    louder = [[[(1, 0.9), (2, 0.1)], [(0, 0.2)]]]
    with torch.no_grad():
        one = model(batch([0], fake_near(NEAR[:1], SLOTS)))[0]["item"]
        other = model(batch([0], fake_near(louder, SLOTS)))[0]["item"]
    assert not torch.allclose(one, other, atol=1e-5)


def test_the_last_layer_computes_cls_alone_with_the_same_answer() -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(8, 2, 4, 0.0).eval()
    x_BLd, mask_BL = (
        torch.randn(3, 5, 8),
        torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]).bool(),
    )
    with torch.no_grad():
        torch.testing.assert_close(layer(x_BLd, mask_BL)[:, :1], layer(x_BLd, mask_BL, readers=1))


def test_two_layers_read_at_cls() -> None:
    found, _ = embedders(layers=2)(batch([0, 3], fake_near(NEAR[:2], SLOTS)))
    assert torch.isfinite(found["item"]).all()


MEMBERS = Members(torch.tensor([0, 3, 5]), torch.tensor([10, 11, 12, 13, 14]), torch.arange(5))


def test_a_collection_is_the_mean_of_its_members_but_the_one_left_out() -> None:
    inner = torch.arange(12, dtype=torch.float32).view(6, 2)
    found = member_mean(MEMBERS, torch.tensor([0, 0, 1]), torch.tensor([-1, 11, 13]), inner)
    expected = torch.stack([inner[:3].mean(0), inner[[0, 2]].mean(0), inner[4]])
    torch.testing.assert_close(found, expected)


def test_a_collection_without_members_left_is_zero() -> None:
    one = Members(torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([0]))
    found = member_mean(one, torch.tensor([0]), torch.tensor([2]), torch.ones(1, 2))
    assert torch.equal(found, torch.zeros(1, 2))


def test_rare_words_weigh_more_than_common_ones() -> None:
    bags = (np.array([0, 1, 0, 2, 0, 2], np.int32), np.array([0, 2, 4, 6]))
    weight = rarity(bags, 4)
    assert weight[1] > weight[2] > weight[0] > 0
    assert np.average(weight, weights=[3, 1, 2, 0]) == pytest.approx(1.0)


def test_a_hidden_identity_is_none_at_all() -> None:
    model = embedders()
    near = fake_near([[[], []], [[], []]], SLOTS)
    plain = batch([2, 2], near)
    asked = plain.requests["item"]
    hidden = NodeBatch(
        plain.distinct, {"item": _with(asked, hidden=torch.tensor([False, True]))}, plain.members
    )
    with torch.no_grad():
        found = model(hidden)[0]["item"]
        identity = model.features["item"].parts["identity"]
        identity.unseen[2] = True  # type: ignore[index]
        unseen = model(plain)[0]["item"]
    assert not torch.allclose(found[0], found[1], atol=1e-4)
    torch.testing.assert_close(found[1], unseen[0])


def _with(asked: object, **changes: object) -> object:
    from dataclasses import replace

    return replace(asked, **changes)  # type: ignore[type-var]
