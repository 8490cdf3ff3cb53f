"""Writes that survive a crash, and the lock."""

import os

import pytest

from bowerbird.tables.atomic import WriterLock, replace_directory, replacing, write_atomic
from bowerbird.tables.errors import StoreError


def test_write_atomic_replaces_the_whole_file(tmp_path):
    target = tmp_path / "file"
    write_atomic(target, b"first")
    write_atomic(target, lambda file: file.write(b"second"))
    assert target.read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "file"
    write_atomic(target, b"first")

    def fails(file):
        file.write(b"half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_atomic(target, fails)
    assert target.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_replacing_hands_out_a_sibling_path(tmp_path):
    target = tmp_path / "file"
    with replacing(target) as temporary:
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"done")
        assert not target.exists()
    assert target.read_bytes() == b"done"


def test_replace_directory_drops_what_the_old_one_had(tmp_path):
    old, new = tmp_path / "folder", tmp_path / "new"
    for folder, name in ((old, "a"), (new, "b")):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / name).write_text(name)
    replace_directory(new, old)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [
        "folder/inner/b"
    ]


def test_the_lock_names_its_owner_and_is_free_after_release(tmp_path):
    path = tmp_path / "writer.lock"
    with WriterLock(path), pytest.raises(StoreError, match=f"process {os.getpid()}"):
        WriterLock(path)
    WriterLock(path).release()
