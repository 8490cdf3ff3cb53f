"""`bowerbird init`: the guesses are right for sane files, and can be ingested as they are."""

import json
import tomllib

import polars as pl
import pytest

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.ingest import guess_config, ingest, load_config
from bowerbird.tables.store import Store


def run(folder, **files):
    """Writes files, guesses, ingests; gives the configuration and the store."""
    for name, content in files.items():
        (folder / name.replace("_dot_", ".")).write_text(content)
    text = guess_config([folder], folder=folder)
    path = folder / "bowerbird.toml"
    path.write_text(text)
    summary = ingest(load_config(path), folder / "store")
    assert all(counts.rejected == 0 for counts in summary.tables.values())
    return tomllib.loads(text), text, Store.open(folder / "store")


def test_ratings_and_tags_of_films(tmp_path):
    config, text, store = run(
        tmp_path,
        movies_dot_csv="movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,Jumanji (1995),Adventure\n",
        ratings_dot_csv="userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,2,2.5,964981247\n2,2,5.0,964981248\n",
        tags_dot_csv="userId,movieId,tag,timestamp\n2,1,pixar,1139045764\n",
        links_dot_csv="movieId,imdbId\n1,0114709\n2,0113497\n",
    )
    assert [source["files"] for source in config["events"]] == [["ratings.csv"], ["tags.csv"]]
    ratings = config["events"][0]["columns"]
    assert (ratings["user_id"], ratings["item_id"]) == ("userId", "movieId")
    assert ratings["timestamp"] == {"column": "timestamp", "unit": "s"}
    assert "964982703 = 2000-07-30 18:45:03 UTC" in text
    assert config["items"]["columns"] == {"item_id": "movieId"}
    assert config["items"]["features"] == {
        "title": "title",
        "genres": {"role": "categories", "separator": "|"},
    }
    assert "links.csv: also looks like items" in text
    assert set(store.actions) == {"rate", "like", "tag"}
    assert store.manifest.counts["events"] == 4
    assert store.item_table.frame["genres"].to_list() == [["Adventure", "Animation"], ["Adventure"]]


def test_a_shop_with_json_products_and_typed_events(tmp_path):
    products = [
        {
            "product_id": f"p{n}",
            "name": f"Fine thing number {n}",
            "price": n,
            "brand_id": "b",
            "created_at": "2020-01-01",
        }
        for n in range(3)
    ]
    config, text, store = run(
        tmp_path,
        products_dot_jsonl="\n".join(map(json.dumps, products)),
        events_dot_tsv="visitorid\tproduct_id\tevent_time\tevent_type\tsearch_query\n"
        "v1\tp1\t2020-01-02 10:00:00\tview\tred\nv1\tp1\t2020-01-02 10:01:00\tcart\t\n",
        customers_dot_csv="customer_id;age;city\nv1;30;Rome\nv2;40;Oslo\n",
    )
    assert config["events"]["columns"] == {
        "user_id": "visitorid",
        "item_id": "product_id",
        "timestamp": "event_time",
        "query": "search_query",
        "actions": "event_type",
    }
    assert "# seen: cart, view" in text
    assert config["items"]["columns"] == {
        "item_id": "product_id",
        "creator_id": "brand_id",
        "created_at": "created_at",
    }
    assert config["items"]["features"] == {"name": "title", "price": "number"}
    assert config["users"] == {
        "files": ["customers.csv"],
        "delimiter": ";",
        "columns": {"user_id": "customer_id"},
        "features": {"age": "number", "city": "category"},
    }
    assert (list(store.actions), store.item_table.title(1)) == (["view", "cart"], "Fine thing number 1")


def test_a_log_of_impressions_in_parts_without_items(tmp_path):
    for part in range(8):
        pl.DataFrame(
            {
                "uid": [part, part],
                "video_id": [1, 2],
                "time_ms": [1_600_000_000_000 + part] * 2,
                "is_click": [1, 0],
                "is_like": [0, 1],
                "long_view": [0, 0],
                "position": [0, 1],
                "request_id": [f"r{part}"] * 2,
            }
        ).write_parquet(tmp_path / f"part-{part}.parquet")
    config, text, store = run(tmp_path)
    assert config["events"]["files"] == ["*.parquet"] or config["events"]["files"] == "*.parquet"
    assert config["events"]["columns"]["actions"]["flags"] == {
        "click": "is_click",
        "like": "is_like",
        "longview": "long_view",
    }
    assert config["items"]["features"] == {}
    assert "No file describes the items" in text
    assert (store.manifest.counts["events"], store.manifest.counts["slates"], store.n_items) == (16, 8, 2)


def test_playlists(tmp_path):
    config, _, store = run(
        tmp_path,
        plays_dot_csv="user,track,ts\nu,t1,1600000000\n",
        tracks_dot_csv="track_id,title,artist_id\nt1,A Song,x\n",
        playlists_dot_csv="playlist_id,track_id,name\n9,t1,Morning\n9,t2,Morning\n",
    )
    assert config["collections"]["columns"] == {
        "collection_id": "playlist_id",
        "item_id": "track_id",
        "title": "name",
    }
    assert config["events"]["columns"]["actions"] == {"constant": "play"}
    assert store.table("collections").select("title", "item").collect().rows() == [
        ("Morning", 0),
        ("Morning", None),
    ]


def test_nothing_that_looks_like_events(tmp_path):
    with pytest.raises(ConfigError, match="no CSV, TSV, JSONL or Parquet file"):
        guess_config([tmp_path], folder=tmp_path)
    (tmp_path / "ratings.csv").write_text("user_id,book_id,rating\n1,2,3\n")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError) as error:
        guess_config([tmp_path], folder=tmp_path)
    for words in (
        "ratings.csv: users and items but no column of times",
        "user_id, book_id, rating",
        "empty.csv: no rows",
    ):
        assert words in str(error.value)
