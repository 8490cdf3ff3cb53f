"""init, ingest, dataset, simulate: from files to a store, and what is said when that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bowerbird.tables.store import Store
from cli.conftest import Bowerbird


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rows = [f"u{i % 5},i{i % 7},{1_600_000_000 + i * 60},{'click' if i % 2 else 'save'}" for i in range(60)]
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp,actions\n" + "\n".join(rows) + "\n")
    items = [f"i{i},Film number {i},Drama" for i in range(7)]
    (tmp_path / "items.csv").write_text("item_id,title,genre\n" + "\n".join(items) + "\n")
    return tmp_path


def test_init_then_ingest_then_ingest_again(bowerbird: Bowerbird, files: Path) -> None:
    config, store = files / "bowerbird.toml", files / "store"
    first = bowerbird("init", files / "events.csv", files / "items.csv", "-o", config)
    assert first.exit_code == 0, first.output
    assert "#" in config.read_text(), "guesses are commented"
    again = bowerbird("init", files / "events.csv", "-o", config)
    assert again.exit_code == 2 and "--overwrite" in again.stderr
    done = bowerbird("ingest", config, "--store", store)
    assert done.exit_code == 0, done.output
    opened = Store.open(store)
    assert (len(opened.events), opened.n_users, opened.n_items) == (60, 5, 7)
    assert opened.item_table.title(0).startswith("Film number")
    generation = opened.manifest.generation
    assert bowerbird("ingest", config, "--store", store).exit_code == 0
    assert Store.open(store).manifest.generation == generation, "the same ingest changes nothing"


def test_a_typo_in_the_configuration_is_named(bowerbird: Bowerbird, files: Path) -> None:
    config = files / "bowerbird.toml"
    bowerbird("init", files / "events.csv", files / "items.csv", "-o", config)
    config.write_text(config.read_text().replace("dataset =", "datsaet ="))
    done = bowerbird("ingest", config, "--store", files / "store")
    assert done.exit_code == 2 and "datsaet" in done.stderr and "Traceback" not in done.output
    assert not (files / "store" / "manifest.json").exists()


def test_missing_files_are_named(bowerbird: Bowerbird, tmp_path: Path) -> None:
    for arguments in (
        ("init", tmp_path / "none.csv", "-o", tmp_path / "x.toml"),
        ("ingest", tmp_path / "none.toml"),
    ):
        done = bowerbird(*arguments)
        assert done.exit_code == 2 and "none." in done.stderr and "Traceback" not in done.output


def test_data_sets_are_listed_with_their_licences(bowerbird: Bowerbird) -> None:
    done = bowerbird("dataset")
    assert done.exit_code == 0
    for name in ("movielens", "amazon", "globo", "openbandit", "beibei", "goodbooks", "kuairand"):
        assert name in done.stdout.replace("_", "").replace("-", "").lower(), name
    assert (
        "no commercial use" in " ".join(done.stdout.split()).replace("│ ", "") or "commercial" in done.stdout
    )


def test_a_known_data_set_becomes_a_store(bowerbird: Bowerbird, tmp_path: Path) -> None:
    folder = tmp_path / "ml-tiny"
    folder.mkdir()
    (folder / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n"
        + "".join(f"{u},{m},{m % 5 + 1},{10**9 + u * 999 + m}\n" for u in (1, 2) for m in range(9))
    )
    (folder / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f"{m},Film {m} (1999),Drama|War\n" for m in range(9))
    )
    (folder / "tags.csv").write_text("userId,movieId,tag,timestamp\n1,3,slow,1000009999\n")
    done = bowerbird("dataset", "movielens", "--path", folder, "--store", tmp_path / "store")
    assert done.exit_code == 0, done.output
    assert "licence" in done.stderr and Store.open(tmp_path / "store").n_items == 9
    again = bowerbird("dataset", "movielens", "--path", folder, "--store", tmp_path / "store")
    assert again.exit_code == 2, "a store is not replaced unasked"
    assert (
        bowerbird(
            "dataset", "movielens", "--path", folder, "--store", tmp_path / "store", "--overwrite"
        ).exit_code
        == 0
    )


def test_unknown_data_sets_and_folders(bowerbird: Bowerbird, tmp_path: Path) -> None:
    done = bowerbird("dataset", "movielans", "--store", tmp_path / "s")
    assert done.exit_code == 2 and "did you mean 'movielens'" in done.stderr
    done = bowerbird("dataset", "movielens", "--path", tmp_path / "none", "--store", tmp_path / "s")
    assert done.exit_code == 2 and "none" in done.stderr
    done = bowerbird("dataset", "amazon", "--store", tmp_path / "s")
    assert done.exit_code == 2 and "not bundled" in done.stderr


def test_simulate_writes_a_store_with_its_truth(bowerbird: Bowerbird, tmp_path: Path) -> None:
    done = bowerbird(
        "simulate", "--events", 1000, "--seed", 3, "--store", tmp_path / "sim", "--set", "spam_share=0"
    )
    assert done.exit_code == 0, done.output
    assert len(Store.open(tmp_path / "sim").events) == 1000 and (tmp_path / "sim" / "truth").is_dir()
    assert bowerbird("simulate", "--events", 1000, "--store", tmp_path / "sim").exit_code == 2
    done = bowerbird("simulate", "--events", 1000, "--store", tmp_path / "t", "--set", "spam_shar=0")
    assert done.exit_code == 2 and "spam_share" in done.stderr
    done = bowerbird("simulate", "--events", 3, "--store", tmp_path / "t")
    assert done.exit_code == 2 and "1000" in done.stderr
