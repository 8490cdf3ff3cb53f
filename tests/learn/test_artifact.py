"""Artifacts and signals: the same bytes back, damage noticed, writers killed without harm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.learn.artifact import Artifact, ArtifactError
from bowerbird.learn.signals import Signal, SignalError, list_signals, read_signal, write_signal
from bowerbird.learn.storage import folders

FILES = ["artifact.json", "arrays.safetensors", "tensors.safetensors"]


def example() -> Artifact:
    tied = torch.arange(6.0).reshape(2, 3)
    return Artifact(
        "toy",
        {"width": 3, "halves": [0.5, 1.5], "name": "Laubenvogel ü"},
        {
            "a": tied,
            "tied": tied,
            "part": torch.arange(10.0)[2:5],
            "turned": tied.T,
            "half": tied.bfloat16(),
            "flag": torch.tensor([True, False]),
            "scalar": torch.tensor(3),
            "empty": torch.zeros(0, 4),
        },
        {
            "ids": np.array([3, 1, 2], dtype=np.int32),
            "turned": np.arange(6).reshape(2, 3).T,
            "big_endian": np.array([1.5, 2.5], dtype=">f8"),
            "flag": np.array([True]),
            "scalar": np.array(7.0),
        },
        {"wall": 123, "metrics": {"ndcg@10": 0.1 + 0.2}, "none": None},
    )


def test_loads_to_the_same_values_and_bytes(tmp_path: Path) -> None:
    artifact = example()
    artifact.save(tmp_path / "a")
    loaded = Artifact.load(tmp_path / "a")
    assert (loaded.learner, loaded.config, loaded.facts) == (
        artifact.learner,
        artifact.config,
        artifact.facts,
    )
    assert loaded.tensors.keys() == artifact.tensors.keys()
    for name, tensor in artifact.tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].dtype == tensor.dtype
    assert loaded.arrays.keys() == artifact.arrays.keys()
    for name, array in artifact.arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].shape == array.shape
        assert loaded.arrays[name].dtype == array.dtype.newbyteorder("=")
    loaded.save(tmp_path / "b")
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == sorted(FILES)
    for file in FILES:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_model_with_tied_weights_comes_back(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
    model[1].weight = model[0].weight
    Artifact("toy", {}, model.state_dict()).save(tmp_path / "a")
    other = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
    other[1].weight = other[0].weight
    other.load_state_dict(dict(Artifact.load(tmp_path / "a").tensors))
    assert torch.equal(other[1].weight, model[0].weight)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "remove", "empty"])
def test_damage_is_noticed_and_named(tmp_path: Path, file: str, harm: str) -> None:
    example().save(tmp_path / "a")
    path = tmp_path / "a" / file
    content = bytearray(path.read_bytes())
    if harm == "flip":
        # The last value byte of a tensor file; a digit of the width in the JSON.
        at = content.index(b'"width": 3') + 9 if file == "artifact.json" else len(content) - 1
        content[at] ^= 1
    elif harm == "cut":
        content = content[:-9]
    elif harm == "grow":
        content += b"{}"
    elif harm == "empty":
        content = bytearray()
    path.write_bytes(content)
    if harm == "remove":
        path.unlink()
    with pytest.raises(ArtifactError, match=f"{file}.*(damaged|missing)|no {file}|damaged.*{file}"):
        Artifact.load(tmp_path / "a")


@settings(max_examples=40)
@given(st.data())
def test_any_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    folder = tmp_path_factory.mktemp("bytes") / "a"
    example().save(folder)
    file = folder / data.draw(st.sampled_from(FILES))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        loaded = Artifact.load(folder)
    except ArtifactError:
        return
    # What may change unnoticed is white space between the values of the JSON, never a value.
    assert file.name == "artifact.json"
    assert (loaded.config, loaded.facts) == (example().config, example().facts)


def test_files_of_another_artifact_are_noticed(tmp_path: Path) -> None:
    example().save(tmp_path / "a")
    Artifact("toy", {}, {"a": torch.ones(3)}).save(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "tensors.safetensors", tmp_path / "a" / "tensors.safetensors")
    with pytest.raises(ArtifactError, match=r"tensors\.safetensors is damaged"):
        Artifact.load(tmp_path / "a")


def test_other_formats_and_kinds_are_refused(tmp_path: Path) -> None:
    example().save(tmp_path / "a")
    head = tmp_path / "a" / "artifact.json"
    newer = json.loads(head.read_text()) | {"format": 99}
    head.write_text(json.dumps(newer))
    with pytest.raises(ArtifactError, match=r"format 99; this version of Bowerbird reads format 1"):
        Artifact.load(tmp_path / "a")
    head.write_text("[]")
    with pytest.raises(ArtifactError, match="does not describe an artifact"):
        Artifact.load(tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"has no artifact\.json"):
        Artifact.load(tmp_path / "nowhere")


def test_what_cannot_be_stored_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    good = example()
    good.save(tmp_path / "a")
    before = (tmp_path / "a" / "artifact.json").read_bytes()
    bad = [
        (Artifact("toy", {}, {}, {"names": np.array(["a"])}), "'names'.*<U1"),
        (Artifact("toy", {}, {}, {"objects": np.array([{}])}), "'objects'.*object"),
        (Artifact("toy", {}, {"sparse": torch.eye(3).to_sparse()}), "'sparse' is not a dense tensor"),
        (Artifact("toy", {}, {}, {}, {"loss": float("nan")}), "only finite numbers"),
        (Artifact("toy", {"x": {1, 2}}), "set"),
    ]
    for artifact, message in bad:
        with pytest.raises(ArtifactError, match=message):
            artifact.save(tmp_path / "a")
        assert (tmp_path / "a" / "artifact.json").read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_no_artifact_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "bird.jpg").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="exists and is not an artifact"):
        example().save(tmp_path / "photos")
    assert (tmp_path / "photos" / "bird.jpg").exists()
    (tmp_path / "empty").mkdir()
    example().save(tmp_path / "empty")
    assert Artifact.load(tmp_path / "empty").learner == "toy"


@pytest.mark.parametrize("at", ["write", "first rename", "second rename"])
def test_killed_writer_leaves_the_old_artifact(
    tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Artifact("old", {}).save(tmp_path / "a")
    renames = 0
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        if renames == {"first rename": 1, "second rename": 2}[at]:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patch:
        if at == "write":
            patch.setattr(folders, "sync_file", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            patch.setattr(Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            Artifact("new", {}).save(tmp_path / "a")
    assert Artifact.load(tmp_path / "a").learner == "old"
    Artifact("newer", {}).save(tmp_path / "a")
    assert Artifact.load(tmp_path / "a").learner == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def signal_of(**changes) -> Signal:
    values = {
        "name": "toy_items", "entity": "item", "ids": ["x", "y", "z"],
        "vectors": np.arange(6, dtype=np.float32).reshape(3, 2),
        "scores": {"quality": np.array([0.5, 1.0, -1.0]), "count": np.array([1, 2, 3])},
        "facts": {"wall": 5},
    } | changes  # fmt: skip
    return Signal(**values)


@pytest.mark.parametrize("ids", [["x", "y", "z"], [30, 10, 20], np.array([3, 1, 2])])
def test_signal_round_trip(tmp_path: Path, ids) -> None:
    signal = signal_of(ids=ids)
    folder = write_signal(tmp_path, signal, "2024-05-01")
    assert folder == tmp_path / "signals" / "toy_items" / "2024-05-01"
    write_signal(tmp_path, signal_of(vectors=None, name="other"), "r2")
    write_signal(tmp_path, signal_of(scores={}), "r1")
    found = read_signal(tmp_path, "toy_items", "2024-05-01")
    assert list(found.ids) == list(ids)
    np.testing.assert_array_equal(found.vectors, signal.vectors)
    assert found.vectors.dtype == np.float32
    for key, column in signal.scores.items():
        np.testing.assert_array_equal(found.scores[key], column)
    assert (found.entity, found.facts, len(found)) == ("item", {"wall": 5}, 3)
    assert read_signal(tmp_path, "other", "r2").vectors is None
    assert read_signal(tmp_path, "toy_items", "r1").scores == {}
    assert list_signals(tmp_path) == {"other": ["r2"], "toy_items": ["2024-05-01", "r1"]}
    assert list_signals(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["x", "x", "z"]}, "more than once"),
        ({"ids": ["x", 1, "z"]}, "all strings or all integers"),
        ({"ids": ["x", "y"]}, r"vectors has shape \(3, 2\), expected \(2, 2\)"),
        ({"entity": "bird"}, "none of item"),
        ({"name": "../up"}, "may hold letters"),
        ({"vectors": None, "scores": {}}, "neither vectors nor scores"),
        (
            {"vectors": np.array([[1.0, 2], [np.nan, 0], [0, 0]])},
            r"vectors of id 'y' \(row 1\) is not finite",
        ),
        ({"scores": {"q": np.array([1.0, np.inf, 0])}}, r"score 'q' of id 'y'"),
        ({"scores": {"q": np.array(["a", "b", "c"])}}, "expected numbers"),
        ({"scores": {"id": np.zeros(3)}}, "cannot be called 'id'"),
        ({"scores": {"q": np.zeros(2)}}, "shape"),
    ],
)
def test_malformed_signals_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(SignalError, match=message):
        signal_of(**changes)


def test_missing_and_damaged_signals(tmp_path: Path) -> None:
    folder = write_signal(tmp_path, signal_of(), "r1")
    with pytest.raises(SignalError, match=r"no signal 'toy_items' of release 'r9'; it has: toy_items/r1"):
        read_signal(tmp_path, "toy_items", "r9")
    with pytest.raises(SignalError, match="may hold letters"):
        write_signal(tmp_path, signal_of(), "../r1")
    for file in ("signal.parquet", "vectors.safetensors"):
        write_signal(tmp_path, signal_of(), "r1")
        content = bytearray((folder / file).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / file).write_bytes(content)
        with pytest.raises(SignalError, match=f"{file} is damaged"):
            read_signal(tmp_path, "toy_items", "r1")


def test_leftovers_of_a_killed_writer_do_not_come_back(tmp_path: Path) -> None:
    # Killed after the swap, before the old folder was removed.
    Artifact("old", {}).save(tmp_path / ".a.old-1234")
    Artifact("new", {}).save(tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"has no artifact\.json"):
        Artifact.load(tmp_path / "a")
