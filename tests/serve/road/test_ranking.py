"""The whole road with a model that ranks: what is said of an item is what the model says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowerbird.serve.engine import Engine
from bowerbird.serve.engine.values import LEAST_RATE, usual_values
from bowerbird.serve.request import Filters, PastEvent, Request, RequestError
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator
from serve.models import generator
from serve.world import N_USERS


@pytest.fixture(scope="module")
def uni(store: Store) -> Engine:
    return Engine(store, generator(store))


def ids(answer: Response) -> list[str]:
    return [str(entry.item.id) for entry in answer.items]


def test_items_come_in_order_of_value_with_the_models_probabilities(uni: Engine) -> None:
    worth = {"click": 1.0, "save": 3.0, "hide": -2.0}
    answer = uni.recommend(Request(user="u00", k=8, values=worth))
    assert answer.values == worth and answer.stage == "model" and answer.history_used == 8
    assert list(answer.timings_ms) == ["history", "encode", "generate", "retrieve", "rank", "guard", "total"]
    scores = [entry.score for entry in answer.items]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) > 1
    for entry in answer.items:
        assert entry.why.ranked == "actions"
        assert entry.score == pytest.approx(
            sum(worth[a] * p for a, p in entry.probabilities.items()), abs=1e-4
        )
    # against the model itself, without pool, index or engine
    model = uni.generator.opened  # type: ignore[attr-defined]
    trail = uni.trails.of("u00")
    encoded = uni.generator.reader.encode([trail.window])  # type: ignore[attr-defined]
    codes = uni.store.items.encode(ids(answer))
    codes_1K = torch.from_numpy(codes.astype(np.int64))[None]
    probability = model.rank(
        encoded, model.vectors_IE[codes_1K], codes_1K,
        time_B=torch.tensor([uni.store.manifest.time_range[1] + 1]), surface_B=torch.ones(1, dtype=torch.long),  # type: ignore[index]
        history=uni.generator.reader.tokens([trail.window]),  # type: ignore[attr-defined]
    )[0]  # fmt: skip
    said = [[entry.probabilities[a] for a in uni.store.manifest.actions] for entry in answer.items]
    np.testing.assert_allclose(said, probability.numpy(), atol=1e-5)


def test_worths_change_the_order_and_only_their_ratio_matters(uni: Engine) -> None:
    def ask(**values: float) -> list[str]:
        return ids(uni.recommend(Request(user="u01", k=10, values=values)))

    assert ask(save=1.0) == ask(save=7.0) != ask(save=-1.0)
    assert set(ask(save=1.0)) != set(ask(save=-1.0)), "three times as many are ranked as are shown"


def test_more_is_ranked_than_is_shown(store: Store, uni: Engine) -> None:
    just = Engine(store, generator(store), overfetch=1.0)
    found = just.recommend(Request(user="u01", k=6, values={"save": 1.0}))
    wide = uni.recommend(Request(user="u01", k=6, values={"save": 1.0}))
    assert wide.items[-1].score >= found.items[-1].score and ids(wide) != ids(found)


def test_usual_worths_let_every_action_contribute() -> None:
    counts = {"click": 500, "save": 50, "share": 1, "hide": 100, "never": 0}
    worth = usual_values(tuple(counts), ("hide",), counts, 1000)
    assert {name: worth[name] * counts[name] / 1000 for name in ("click", "save", "hide")} == pytest.approx(
        {"click": 1.0, "save": 1.0, "hide": -1.0}
    )
    assert worth["share"] == 1 / LEAST_RATE and worth["never"] == 0.0


def test_the_usual_worths_are_said(uni: Engine) -> None:
    values = uni.recommend(Request(user="u00", k=3)).values
    assert values["save"] > values["click"] > 0 > values["hide"]


def test_worths_that_cannot_be_meant(uni: Engine, store: Store) -> None:
    with pytest.raises(RequestError, match="did you mean 'save'"):
        uni.recommend(Request(user="u00", values={"svae": 1.0}))
    with pytest.raises(RequestError, match="must be a number"):
        Request(values={"save": math.inf})
    with pytest.raises(RequestError, match="at least one"):
        Request(values={"save": 0.0})
    retrieves = Engine(store, KnnGenerator(store))
    answer = retrieves.recommend(Request(user="u00", k=4, values={"save": 1.0}))
    assert [note.code for note in answer.notes] == ["values_unused"] and answer.values == {}
    assert all(not entry.probabilities and entry.why.ranked == "retrieval" for entry in answer.items)


def test_a_returning_user_is_not_encoded_again_and_gets_the_same(store: Store) -> None:
    engine = Engine(store, generator(store))
    first = engine.recommend(Request(user="u05", k=9))
    second = engine.recommend(Request(user="u05", k=9))
    assert ids(first) == ids(second)
    pool = engine.describe()["pool"]
    assert (pool["misses"], pool["hits"]) == (1, 1)
    assert [e.score for e in second.items] == pytest.approx([e.score for e in first.items], abs=1e-4)
    engine.close()
    assert engine.describe()["pool"]["used"] == 0
    assert ids(engine.recommend(Request(user="u05", k=9))) == ids(first)


REQUEST = st.builds(
    Request,
    user=st.sampled_from([None, "nobody", "quiet", *(f"u{n:02d}" for n in range(6))]),
    history=st.none() | st.lists(
        st.builds(
            PastEvent, st.sampled_from([*(f"f{n:02d}" for n in range(60)), "gone"]),
            st.sampled_from([None, "save", "hide"]),
        ),
        max_size=12,
    ).map(tuple),
    outcomes=st.dictionaries(st.sampled_from(["any", "click", "save"]), st.floats(0.1, 5), max_size=3),
    k=st.integers(1, 12),
    filters=st.sampled_from([Filters(), Filters(include={"genres": ("Town",)}), Filters(exclude={"genres": ("Sea",)})]),
    values=st.dictionaries(st.sampled_from(["click", "save", "hide"]), st.floats(0.5, 2), max_size=2),
    explain=st.booleans(),
    at_most=st.sampled_from([{}, {"genres": 2}]),
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests=st.lists(REQUEST, min_size=1, max_size=6))
def test_a_batch_gives_what_single_requests_give(uni: Engine, requests: list[Request]) -> None:
    for request, found in zip(requests, uni.recommend_many(requests), strict=True):
        alone = uni.recommend(request)
        assert isinstance(found, Response)
        assert [e.score for e in found.items] == pytest.approx([e.score for e in alone.items], abs=1e-3)
        assert sorted(ids(found)) == sorted(ids(alone))
        assert (found.notes, found.stage, found.history_used) == (
            alone.notes,
            alone.stage,
            alone.history_used,
        )
        assert [(s.outcome, s.budget) for s in found.shares] == [(s.outcome, s.budget) for s in alone.shares]
        for one, other in zip(found.items, alone.items, strict=True):
            if one.item.id == other.item.id:
                assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
                assert [e.weight for e in one.looked_at] == pytest.approx(
                    [e.weight for e in other.looked_at], abs=1e-3
                )


def test_a_bad_request_of_a_batch_fails_alone(uni: Engine) -> None:
    good, bad = uni.recommend_many([Request(user="u00", k=3), Request(user="u00", outcomes={"sold": 1.0})])
    assert isinstance(good, Response) and isinstance(bad, RequestError)


def test_explanations_are_events_of_the_history(uni: Engine) -> None:
    answer = uni.recommend(Request(user="u02", k=5, explain=True))
    past = {(event.item.id, event.time) for event in uni.history("u02").events}
    for entry in answer.items:
        assert len(entry.looked_at) == 3
        assert {(e.item.id, e.time) for e in entry.looked_at} <= past
        weights = [e.weight for e in entry.looked_at]
        assert weights == sorted(weights, reverse=True) and 0 < sum(weights) <= 1
        assert all(e.actions and e.item.title.startswith(("The", "L'")) for e in entry.looked_at)
    assert "explain" in answer.timings_ms
    plain = uni.recommend(Request(user="u02", k=5))
    assert not any(entry.looked_at for entry in plain.items) and "explain" not in plain.timings_ms


@pytest.mark.parametrize("interleave", [False, True])
def test_attention_and_value_of_the_last_layer_make_its_output(store: Store, interleave: bool) -> None:
    """The weights that are told are the ones the decoder uses: they rebuild the output of its last attention."""
    made = generator(store, interleave=interleave)
    model, trail = made.opened, Engine(store, made).trails.of("u03")
    with torch.inference_mode():
        encoded = made.reader.encode([trail.window])
        items = model.vectors_IE[:4][None]
        x_BKD = made.uni.ranker.candidate_vectors(
            items,
            torch.full((1, 4), 10**12),
            torch.ones(1, 4, dtype=torch.long),
            encoded.time_B[:, None].expand(1, 4),
        )
        seen: dict[str, torch.Tensor] = {}
        block = model.model.decoder.blocks[-1]
        handle = block.out.register_forward_pre_hook(lambda _, inputs: seen.update(out=inputs[0]))
        model.model.decoder.score(x_BKD, encoded.cache)
        handle.remove()
        from bowerbird.serve.generators.attention import attended

        weights = attended(model.model.decoder, x_BKD, encoded.cache)
    assert weights.shape == (1, 4, len(trail.window) * (2 if interleave else 1))
    assert float(weights.sum(-1).max()) < 1
    # values that are 1 for the first half of the past and 0 elsewhere make the output the weight of that half
    used = int(encoded.cache.lengths_B[0])
    ones = [torch.zeros_like(v) for v in encoded.cache.values]
    ones[-1][:, :, : used // 2] = 1.0
    with torch.inference_mode():
        encoded.cache.values[-1] = ones[-1]
        own = block.qkv.weight.shape[0] // 3
        block.qkv.weight[2 * own :] = 0.0
        block.qkv.bias[2 * own :] = 0.0
        handle = block.out.register_forward_pre_hook(lambda _, inputs: seen.update(out=inputs[0]))
        model.model.decoder.score(x_BKD, encoded.cache)
        handle.remove()
    torch.testing.assert_close(seen["out"].mean(-1), weights[..., : used // 2].sum(-1), atol=1e-5, rtol=1e-4)


def test_everybody_of_the_world_is_answered_by_the_model(uni: Engine) -> None:
    requests = [Request(user=f"u{n:02d}", k=4) for n in range(N_USERS)]
    answers = uni.recommend_many(requests)
    assert all(isinstance(a, Response) and a.stage == "model" and len(a.items) == 4 for a in answers)
