"""Every kind of index against brute force: order, filters, exclusions, stored vectors, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.index import Index, IndexConfig, VectorIndexError

ALL_CELLS = IndexConfig(recall_target=1.0, lists=4, tuning_queries=8, tuning_k=3)
"""An approximate index this small visits every cell, so it must agree with brute force."""


def brute(vectors, ids, query, k, allowed=None, exclude=()):
    """Ids by definition: sort by (-score, id), one Python loop."""
    found = [
        (-float(np.float32(vectors[row] @ query)), int(ids[row]))
        for row in range(len(ids))
        if (allowed is None or ids[row] in allowed) and ids[row] not in exclude
    ]
    return [id for _, id in sorted(found)[:k]]


@st.composite
def worlds(draw):
    """Small integer vectors: inner products are exact in every precision and ties are plenty."""
    n, dim = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    cell = st.integers(-3, 3)
    vectors = np.array(draw(st.lists(st.lists(cell, min_size=dim, max_size=dim), min_size=n, max_size=n)))
    ids = np.array(draw(st.lists(st.integers(0, 60), min_size=n, max_size=n, unique=True)))
    query = np.array(draw(st.lists(cell, min_size=dim, max_size=dim)))
    pool = st.integers(0, 60)
    allowed = draw(st.none() | st.lists(pool, max_size=20))
    exclude = draw(st.lists(pool, max_size=20))
    k = draw(st.integers(1, 35))
    return vectors.astype(np.float32), ids, query.astype(np.float32), k, allowed, exclude


def check_row(hits, expected, k):
    assert hits.ids[0].tolist() == expected + [-1] * (k - len(expected))
    assert np.isneginf(hits.scores[0, len(expected) :]).all()


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_exact_equals_brute_force(world):
    vectors, ids, query, k, allowed, exclude = world
    index = Index.build(vectors, ids, kind="exact")
    hits = index.search(query, k, allowed=allowed, exclude=[exclude])
    check_row(hits, brute(vectors, ids, query, k, allowed, exclude), k)


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_ivf_over_all_cells_equals_brute_force_up_to_ties_at_the_cut(world):
    vectors, ids, query, k, allowed, exclude = world
    index = Index.build(vectors, ids, kind="ivf", config=ALL_CELLS)
    index.facts["probes"] = index.facts["lists"]
    hits = index.search(query, k, allowed=allowed, exclude=[exclude])
    expected = brute(vectors, ids, query, k, allowed, exclude)
    by_id = dict(zip(ids.tolist(), vectors @ query, strict=True))
    found = [id for id in hits.ids[0].tolist() if id >= 0]
    assert len(found) == len(set(found)) == len(expected)
    assert [by_id[id] for id in found] == [by_id[id] for id in expected]
    assert set(found).isdisjoint(exclude) and (allowed is None or set(found) <= set(allowed))


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_batch_equals_one_by_one_and_blocks_do_not_matter(kind, monkeypatch):
    rng = np.random.default_rng(1)
    vectors, queries = rng.normal(size=(300, 5)), rng.normal(size=(7, 5))
    index = Index.build(vectors, kind=kind)
    together = index.search(queries, 9)
    monkeypatch.setattr("bowerbird.index.base._CELLS", 40)
    monkeypatch.setattr("bowerbird.index.ivf._TOGETHER", 40)
    for row, query in enumerate(queries):
        assert index.search(query, 9).ids[0].tolist() == together.ids[row].tolist()
    allowed, barred = [3, 5, 8, 200, 299, 250, 100], [[5, 299]] * 7
    blocked = index.search(queries, 6, allowed=allowed, exclude=barred)
    monkeypatch.undo()
    np.testing.assert_array_equal(blocked.ids, index.search(queries, 6, allowed=allowed, exclude=barred).ids)


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_reconstructed_vectors_are_the_stored_ones_and_give_the_scores(kind):
    rng = np.random.default_rng(2)
    vectors, queries = (
        rng.normal(size=(200, 6)).astype(np.float32),
        rng.normal(size=(3, 6)).astype(np.float32),
    )
    ids = rng.permutation(1000)[:200]
    index = Index.build(vectors, ids, kind=kind)
    hits = index.search_and_reconstruct(queries, 250)
    assert hits.vectors is not None
    assert (hits.ids[:, :200] >= 0).all() and (hits.ids[:, 200:] == -1).all()
    assert not hits.vectors[:, 200:].any()
    row_of = {int(id): row for row, id in enumerate(ids)}
    stored = vectors[[[row_of[int(id)] for id in line] for line in hits.ids[:, :200]]]
    tolerance = 0 if kind == "exact" else 2e-3  # 16-bit codes
    np.testing.assert_allclose(hits.vectors[:, :200], stored, atol=tolerance)
    np.testing.assert_allclose(
        np.einsum("qd,qkd->qk", queries, hits.vectors[:, :200]), hits.scores[:, :200], atol=1e-5
    )
    np.testing.assert_array_equal(index.vectors(hits.ids[0, :5]), hits.vectors[0, :5])


def clustered(n=4000, dim=16, clusters=40, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dim)) * 3
    return (centres[rng.integers(clusters, size=n)] + rng.normal(size=(n, dim))).astype(np.float32)


def test_narrow_filters_never_come_back_short():
    """The trap: few probed cells hold none of the few allowed vectors, and the answer is silently empty."""
    vectors = clustered()
    index = Index.build(vectors, kind="ivf", config=IndexConfig(recall_target=0.5, tuning_k=5))
    assert index.probes < index.facts["lists"]
    query = vectors[0]
    farthest_first = np.argsort(vectors @ query)
    for share in (0.002, 0.01, 0.02, 0.1):
        allowed = farthest_first[: int(share * len(vectors))]
        hits = index.search(query, 20, allowed=allowed)
        filled = hits.ids[0] >= 0
        assert filled.sum() == min(20, len(allowed))
        assert set(hits.ids[0][filled].tolist()) <= set(allowed.tolist())


def test_filters_below_the_scan_share_are_exact():
    vectors = clustered()
    index = Index.build(vectors, kind="ivf", config=IndexConfig(recall_target=0.5, tuning_k=5))
    exact = Index.build(vectors, kind="exact")
    allowed = np.random.default_rng(0).choice(len(vectors), size=40, replace=False)
    queries = vectors[:10]
    np.testing.assert_array_equal(
        index.search(queries, 20, allowed=allowed).ids, exact.search(queries, 20, allowed=allowed).ids
    )


def test_wider_filters_keep_the_recall_of_the_build():
    """The best of a tenth of the vectors lie in farther cells than the best of all."""
    vectors = np.random.default_rng(0).normal(size=(4000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = Index.build(vectors, kind="ivf", config=IndexConfig(recall_target=0.9, tuning_k=20))
    exact = Index.build(vectors, kind="exact")
    assert index.probes < index.facts["lists"] // 4
    for share in (0.05, 0.1):
        allowed = np.random.default_rng(0).choice(len(vectors), size=int(share * len(vectors)), replace=False)
        found = index.search(vectors[:50], 5, allowed=allowed).ids
        true = exact.search(vectors[:50], 5, allowed=allowed).ids
        assert np.mean([len(np.intersect1d(*pair)) for pair in zip(found, true, strict=True)]) >= 0.9 * 5


def test_excluding_the_best_hits_brings_up_the_next():
    vectors = clustered()
    index = Index.build(vectors, kind="ivf", config=IndexConfig(recall_target=0.99))
    first = index.search(vectors[:4], 30)
    second = index.search(vectors[:4], 10, exclude=list(first.ids[:, :20]))
    np.testing.assert_array_equal(second.ids, first.ids[:, 20:30])


def test_recall_target_is_reached_on_the_sample():
    config = IndexConfig(recall_target=0.95, tuning_k=10)
    index = Index.build(clustered(), kind="ivf", config=config)
    assert index.facts["recall"] >= 0.95
    assert 1 <= index.probes <= index.facts["lists"]


@pytest.mark.parametrize("dim", [7, 16])  # an odd dimension is filled up for the codes
def test_the_tuned_recall_holds_on_queries_that_were_not_tuned_on(dim):
    vectors = clustered(n=6000, dim=dim)
    index = Index.build(vectors[:5000], kind="ivf", config=IndexConfig(recall_target=0.95, tuning_k=20))
    exact = Index.build(vectors[:5000], kind="exact")
    found, true = index.search(vectors[5000:], 20).ids, exact.search(vectors[5000:], 20).ids
    assert np.mean([len(np.intersect1d(*pair)) for pair in zip(found, true, strict=True)]) >= 0.93 * 20
    assert index.probes < index.facts["lists"]


def test_the_fewest_cells_are_visited_that_reach_the_target():
    index = Index.build(clustered(), kind="ivf", config=IndexConfig(recall_target=0.97, tuning_k=20))
    fewer = Index.build(clustered(), kind="ivf", config=IndexConfig(recall_target=0.9, tuning_k=20))
    assert fewer.probes < index.probes < index.facts["lists"]
    assert fewer.facts["recall"] >= 0.9 and index.facts["recall"] >= 0.97


def test_codes_choose_candidates_and_vectors_decide_their_order():
    vectors = clustered()
    hits = Index.build(vectors, kind="ivf").search_and_reconstruct(vectors[:20], 50)
    np.testing.assert_allclose(hits.scores, np.einsum("qd,qkd->qk", vectors[:20], hits.vectors), rtol=1e-5)
    assert (np.diff(hits.scores, axis=1) <= 0).all()


def test_an_answer_does_not_depend_on_what_others_of_the_batch_leave_out():
    vectors = clustered()
    index = Index.build(vectors, kind="ivf", config=IndexConfig(recall_target=0.8, tuning_k=10))
    barred = [np.arange(3), np.arange(900), np.array([], np.int64)]
    together = index.search(vectors[:3], 10, exclude=barred)
    for row in range(3):
        alone = index.search(vectors[row], 10, exclude=[barred[row]])
        np.testing.assert_array_equal(together.ids[row], alone.ids[0])


def test_auto_chooses_by_size():
    config = IndexConfig(exact_below=100)
    vectors = clustered(n=100)
    assert Index.build(vectors[:99], config=config).kind == "exact"
    assert Index.build(vectors, config=config).kind == "ivf"


def test_an_empty_index_answers_with_nothing_and_can_grow():
    index = Index.build(np.empty((0, 3), np.float32))
    assert index.search(np.ones(3), 2, exclude=[[4]], allowed=[1]).ids.tolist() == [[-1, -1]]
    index.add([[1.0, 0, 0]], [7])
    assert index.search(np.ones(3), 2).ids.tolist() == [[7, -1]]


@pytest.mark.parametrize(
    ("vectors", "ids", "says"),
    [
        (np.ones(3), None, "matrix"),
        (np.ones((2, 3)), [1], "ids of shape"),
        (np.ones((2, 3)), [1, 1], "id 1 stands for two"),
        (np.ones((2, 3)), [1, -1], "negative"),
        (np.ones((2, 3)), [0.5, 1.5], "integers"),
        (np.array([[1.0], [np.nan]]), [4, 5], "id 5 holds"),
    ],
)
def test_bad_vectors_are_refused(vectors, ids, says):
    with pytest.raises(VectorIndexError, match=says):
        Index.build(vectors, ids)


def test_bad_queries_are_refused():
    index = Index.build(np.eye(3))
    for query, k, says in (
        (np.ones(2), 1, "dimension 3"),
        (np.ones(3), 0, "at least 1"),
        (np.full(3, np.inf), 1, "not finite"),
    ):
        with pytest.raises(VectorIndexError, match=says):
            index.search(query, k)
    with pytest.raises(VectorIndexError, match="2 lists for 1"):
        index.search(np.ones(3), 1, exclude=[[], []])
    with pytest.raises(VectorIndexError, match="id 9 is not"):
        index.vectors([9])
