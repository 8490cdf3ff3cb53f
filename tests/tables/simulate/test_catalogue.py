"""Items, text, creators, collections, links: what the public tables say agrees with the truth."""

from __future__ import annotations

import numpy as np
import polars as pl

from bowerbird.tables.simulate import SURFACES

from .conftest import World


def test_text_tells_the_topic(world: World) -> None:
    """A nearest-centroid classifier on title words finds the topic far more often than chance."""
    titles = [title.lower().split() for title in world.store.item_table.frame["title"].to_list()]
    topic = world.truth.catalogue.items["topic"]
    vocabulary = {word: k for k, word in enumerate(sorted({w for title in titles for w in title}))}
    counts = np.zeros((len(titles), len(vocabulary)))
    for row, title in enumerate(titles):
        for word in title:
            counts[row, vocabulary[word]] += 1
    half = np.arange(len(titles)) % 2 == 0
    centres = np.stack([counts[half & (topic == k)].sum(0) for k in range(topic.max() + 1)]) + 0.01
    guess = (counts[~half] @ np.log(centres / centres.sum(1, keepdims=True)).T).argmax(1)
    assert (guess == topic[~half]).mean() > 0.6


def test_content_vectors_are_unit_and_closer_inside_a_topic(world: World) -> None:
    vector = np.stack(world.store.item_table.frame["content"].to_numpy())
    np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1.0, rtol=1e-5)
    topic = world.truth.catalogue.items["topic"]
    cosine, same = vector @ vector.T, topic[:, None] == topic[None]
    off = ~np.eye(len(topic), dtype=bool)
    assert cosine[same & off].mean() > cosine[~same].mean() + 0.3


def test_categories_and_tags_are_the_topics(world: World) -> None:
    frame, topics = world.store.item_table.frame, world.truth.topics()
    items = world.truth.catalogue.items
    assert frame["category"].to_list() == topics["group_name"].gather(items["topic"]).to_list()
    assert [tags[0] for tags in frame["tags"].to_list()] == topics["name"].gather(items["topic"]).to_list()


def test_searches_have_a_query_about_the_topic_and_other_surfaces_have_none(world: World) -> None:
    rows, events = world.rows, world.store.events
    searching = (rows["surface"] == "search").to_numpy()
    assert np.array_equal(np.asarray(events.query) >= 0, searching)
    assert set(world.store.surfaces.ids.to_list()) == set(SURFACES)
    words = world.truth.topics()["name"].to_list()
    asked = rows.filter((pl.col("surface") == "search") & pl.col("moment").is_not_null())
    query = world.store.queries.decode(
        np.asarray(events.query)[searching & rows["moment"].is_not_null().to_numpy()]
    )
    own = [
        words[moment].split()[1] in text
        for moment, text in zip(asked["moment"].to_list(), query, strict=True)
    ]
    assert np.mean(own) > 0.6


def test_a_related_request_starts_from_an_item_clicked_just_before(world: World) -> None:
    requests = world.truth.requests().collect()
    assert requests["context_item_id"].is_not_null().to_list() == (requests["surface"] == "related").to_list()
    clicked = set(world.ordinary.filter(pl.col("mask") & 1 == 1).select("user_id", "item_id").iter_rows())
    related = requests.filter(pl.col("surface") == "related").select("user_id", "context_item_id").rows()
    assert related
    assert all(pair in clicked for pair in related)


def test_collections_hold_saved_items_of_one_topic(world: World) -> None:
    kept = world.store.table("collections").collect()
    saved = world.rows.filter(pl.col("mask") & 4 == 4)
    joined = kept.join(
        saved, left_on=["user_id", "item_id", "timestamp"], right_on=["user_id", "item_id", "time"]
    )
    assert joined.height == kept.height > 200
    assert not kept.select("collection_id", "item_id").is_duplicated().any()
    kept = kept.with_columns(topic=pl.Series(world.truth.catalogue.items["topic"][kept["item"].to_numpy()]))
    per_board = kept.group_by("collection_id").agg(pl.col("topic").n_unique(), pl.col("title").n_unique())
    assert (per_board["topic"] == 1).all()
    assert (per_board["title"] == 1).all()


def test_follows_go_to_the_creator_of_an_item_acted_on(world: World) -> None:
    links = world.store.table("links").collect()
    assert set(links["relation"]) == {"follows", "related", "collaborates"}
    follows = links.filter(pl.col("relation") == "follows")
    creator = world.truth.creators()["creator_id"].gather(world.truth.catalogue.items["creator"])
    acted = world.ordinary.filter(pl.col("mask") & 7 != 0).with_columns(
        creator_id=creator.gather(world.ordinary.filter(pl.col("mask") & 7 != 0)["item"])
    )
    found = follows.join(
        acted, left_on=["source_id", "target_id", "timestamp"], right_on=["user_id", "creator_id", "time"]
    )
    assert found.height == follows.height > 50


def test_every_end_of_a_link_is_in_the_store(world: World) -> None:
    links = world.store.table("links").collect()
    known = {"user": world.store.users, "item": world.store.items, "creator": world.store.creators}
    for end in ("source", "target"):
        for kind, rows in links.partition_by(f"{end}_type", as_dict=True).items():
            assert (known[kind[0]].encode(rows[f"{end}_id"]) >= 0).all(), (end, kind)
    idle = set(world.truth.creators()["creator_id"]) - set(world.store.creators)
    assert idle  # creators who made nothing exist, so the rule above is not empty


def test_different_persons_share_names_and_labels_say_who_is_who(world: World) -> None:
    creators = world.truth.creators()
    blocks = creators.group_by("block").agg(
        pl.col("person").n_unique().alias("persons"), pl.len().alias("accounts")
    )
    assert (blocks["persons"] > 1).any()  # one name, several persons
    assert (blocks["accounts"] > blocks["persons"]).any()  # one person, several accounts
    assert creators.group_by("person").agg(pl.col("block").n_unique())["block"].max() == 1
    labels = world.store.table("labels").collect().filter(pl.col("task") == "identity")
    known = labels.join(creators, left_on="entity_id", right_on="creator_id")
    assert known.height == labels.height
    assert 0 < known.height < creators.height
    assert (known["label"] == "p" + known["person"].cast(pl.String)).all()
    whole = blocks.join(known.group_by("block").len(), on="block")
    assert (whole["accounts"] == whole["len"]).all()  # a name is labelled whole or not at all
