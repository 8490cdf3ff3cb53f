"""Adding, removing, saving, opening: the same answers as an index built at once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bowerbird.index import Index, VectorIndexError


@pytest.fixture(params=["exact", "ivf"])
def kind(request):
    return request.param


def world(seed=0, n=120, dim=5):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(500)[:n]
    return rng.normal(size=(n, dim)).astype(np.float32), ids, rng.normal(size=(6, dim)).astype(np.float32)


def full(index, queries):
    """All ids of an index in the order of each query; needs every cell, so k is the size."""
    return index.search(queries, len(index)).ids


def test_adding_in_parts_equals_building_at_once(kind):
    vectors, ids, queries = world()
    whole = Index.build(vectors, ids, kind=kind)
    parts = Index.build(vectors[:50], ids[:50], kind=kind)
    parts.add(vectors[50:], ids[50:])
    assert parts.ids.tolist() == sorted(ids.tolist())
    np.testing.assert_array_equal(full(parts, queries), full(whole, queries))


def test_removed_vectors_are_gone_and_unknown_ids_ignored(kind):
    vectors, ids, queries = world()
    index = Index.build(vectors, ids, kind=kind)
    assert index.remove([int(ids[0]), int(ids[1]), 10_000]) == 2
    assert int(ids[0]) not in index and int(ids[2]) in index
    rest = Index.build(vectors[2:], ids[2:], kind=kind)
    np.testing.assert_array_equal(full(index, queries), full(rest, queries))


def test_adding_a_stored_id_replaces_its_vector(kind):
    vectors, ids, _ = world()
    index = Index.build(vectors, ids, kind=kind)
    index.add([[10.0, 0, 0, 0, 0]], [int(ids[3])])
    assert len(index) == len(ids)
    assert index.search([1.0, 0, 0, 0, 0], 1).ids.tolist() == [[int(ids[3])]]
    np.testing.assert_array_equal(index.vectors([int(ids[3])]), [[10.0, 0, 0, 0, 0]])


@pytest.mark.parametrize("mmap", [True, False])
def test_what_is_saved_opens_to_the_same_answers_and_can_still_change(kind, mmap, tmp_path):
    vectors, ids, queries = world()
    index = Index.build(vectors, ids, kind=kind)
    index.save(tmp_path / "index")
    opened = Index.open(tmp_path / "index", mmap=mmap)
    assert (opened.kind, opened.dim, len(opened), opened.config) == (kind, 5, len(ids), index.config)
    before = index.search_and_reconstruct(queries, 7)
    after = opened.search_and_reconstruct(queries, 7)
    for one, other in (
        (before.ids, after.ids),
        (before.scores, after.scores),
        (before.vectors, after.vectors),
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        opened.search(queries, 3, allowed=ids[:40]).ids, index.search(queries, 3, allowed=ids[:40]).ids
    )
    for each in (index, opened):
        each.remove(ids[:10])
        each.add(vectors[:2], [600, 601])
    np.testing.assert_array_equal(full(opened, queries), full(index, queries))
    opened.save(tmp_path / "index")  # over the files it was mapped from
    np.testing.assert_array_equal(full(Index.open(tmp_path / "index"), queries), full(index, queries))
    assert [found.name for found in tmp_path.iterdir()] == ["index"]


def test_damage_is_noticed(kind, tmp_path):
    vectors, ids, _ = world()
    folder = tmp_path / "index"
    Index.build(vectors, ids, kind=kind).save(folder)
    head = json.loads((folder / "index.json").read_text())
    victim = folder / sorted(head["files"])[0]
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(VectorIndexError, match="damaged"):
        Index.open(folder)
    victim.write_bytes(content[:-1])
    with pytest.raises(VectorIndexError, match="damaged"):
        Index.open(folder, verify=False)
    victim.unlink()
    with pytest.raises(VectorIndexError, match="missing"):
        Index.open(folder)


def test_a_folder_that_is_no_index_or_a_newer_one(tmp_path):
    with pytest.raises(VectorIndexError, match="holds no index"):
        Index.open(tmp_path)
    Index.build(np.eye(2)).save(tmp_path / "index")
    head = json.loads((tmp_path / "index" / "index.json").read_text())
    (tmp_path / "index" / "index.json").write_text(json.dumps(head | {"format": 99}))
    with pytest.raises(VectorIndexError, match="format 99"):
        Index.open(tmp_path / "index")


def test_a_save_that_fails_leaves_the_old_index(tmp_path, monkeypatch):
    index = Index.build(np.eye(3))
    index.save(tmp_path / "index")
    index.add([[2.0, 0, 0]], [5])
    monkeypatch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        index.save(tmp_path / "index")
    monkeypatch.undo()
    assert Index.open(tmp_path / "index").ids.tolist() == [0, 1, 2]
    assert [found.name for found in tmp_path.iterdir()] == ["index"]
