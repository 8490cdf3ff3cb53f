"""Searches and titles as tokens: the same ones in training and in answering, and they are understood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from bowerbird.evaluate.protocols import next_event_cases
from bowerbird.learn.run import Run
from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import PinRecExamples, history_tokens, tokens
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.inputs.stream import TokenStream
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import UniPinRecExamples
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.recommend.retrieval.opened import OpenPinRec, last_items
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import TimeWall, View

KINDS = ("query", "collection")
COLOURS = ["red", "green", "blue", "amber"]


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Who searches a colour clicks an item of that colour, whatever came before; some searches end without a click.

    Clicked items are sometimes filed in a list named after their colour. Slates have four items and times of their own.
    """
    rng = np.random.default_rng(4)
    rows, lists = [], []
    for user in range(60):
        for slate in range(8):
            colour, time = int(rng.integers(4)), (slate * 1000 + user) * 60_000
            query = f"{COLOURS[colour]} things" if slate % 3 else None
            clicks = rng.random() < 0.8
            shown = rng.permutation(4)
            for place, other in enumerate(shown):
                item = f"i{other * 5 + rng.integers(5)}"
                done = clicks and other == colour
                moment = time + place * 1000
                rows.append((f"u{user}", item, moment, ["click"] if done else [], f"r{user}-{slate}", query))
                if done and rng.random() < 0.3:
                    lists.append(
                        (f"l{user}-{colour}", item, f"my {COLOURS[colour]} shelf", f"u{user}", moment)
                    )
    events = pl.DataFrame(
        rows,
        schema={
            "user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "actions": pl.List(pl.String),
            "request_id": pl.String, "query": pl.String,
        }, orient="row",
    )  # fmt: skip
    on_home = pl.col("query").is_null()
    events = events.with_columns(surface=pl.when(on_home).then(pl.lit("home")).otherwise(pl.lit("search")))
    collections = pl.DataFrame(
        lists, schema=["collection_id", "item_id", "title", "user_id", "timestamp"], orient="row"
    )
    return build_store(
        tmp_path_factory.mktemp("searches"), {"events": events, "collections": collections}, actions=["click"],
        dataset="searches",
    )  # fmt: skip


CONFIG = PinRecConfig(
    history_length=12, mentions=KINDS, width=32, item_dim=32, id_dim=32, content_dim=16, layers=1, dropout=0.0,
    embedding_dropout=0.0, id_dropout=0.0, epochs=12, learning_rate=5e-3, batch_positions=128, random_negatives=20,
    in_batch_negatives=64, warmup_steps=5, precision="fp32", patience=12,
)  # fmt: skip


def test_training_reads_what_answering_reads(searches: Store) -> None:
    view = View(searches)
    conditions = Conditions.of(view)
    stream = TokenStream.of(view, KINDS)
    assert stream.mentions is not None and (stream.row < 0).sum() == len(stream.mentions) > 100
    source = PinRecExamples(view, replace(CONFIG, history_length=100), conditions, seed=0)
    for user in view.users[:10]:
        places = np.flatnonzero(stream.user == user)
        trained = tokens(source._gather(places[:1], places[-1:] + 1))
        answered = history_tokens(view, np.array([user]), None, 100, conditions, mentions=KINDS)
        for name in ("item", "time", "action", "deeds", "surface", "lengths"):
            assert torch.equal(getattr(trained, name), getattr(answered, name)), name


def test_only_events_are_predicted(searches: Store) -> None:
    view = View(searches)
    for config in (
        CONFIG,
        replace(CONFIG, offset_buckets=4, targets_per_anchor=3),
        replace(CONFIG, relax="min"),
    ):
        source = PinRecExamples(view, config, Conditions.of(view), seed=0)
        seen = 0
        for batch in source.epoch(0):
            target = batch.target
            assert int(target.max()) < view.n_items and int(target[:, 0].min()) >= 0
            when = batch.tokens.time[batch.window, batch.position]
            assert (batch.time >= when).all()
            seen += int((batch.tokens.item[batch.window, batch.position] >= view.n_items).sum())
        assert seen > 100, "a search predicts, too"


def test_a_slates_candidates_see_its_own_query_and_nothing_later(searches: Store) -> None:
    view = View(searches)
    conditions = Conditions.of(view)
    config = UniPinRecConfig(
        history_length=100, mentions=KINDS, keep_empty=1.0, slate_size=4, slates_per_window=99
    )
    source = UniPinRecExamples(view, config, conditions, seed=0)
    slates = source.blended.slates
    checked = 0
    for batch in source.epoch(0):
        for b in range(len(batch.tokens.lengths)):
            for k in range(0, int(batch.candidates.lengths[b]), 4):
                n, time = int(batch.candidates.seen[b, k]), int(batch.candidates.time[b, k])
                said = batch.tokens.item[b, :n]
                first = int(said[said < view.n_items][0]) if (said < view.n_items).any() else -1
                if first < 0 or batch.tokens.item[b, 0] != said[0]:
                    continue
                number = int(np.flatnonzero(slates.time == time)[0])
                history = history_tokens(
                    view, slates.user[[number]], slates.history_end[[number]], 100, conditions, mentions=KINDS,
                    until=slates.time[[number]],
                )  # fmt: skip
                m = int(history.lengths[0])
                assert torch.equal(history.item[0, max(0, m - n) : m], said[-m:])
                if searches.events.query[slates.first_row[number]] >= 0:
                    assert int(said[-1]) >= view.n_items
                checked += 1
    assert checked > 100


def test_a_history_that_ends_early_counts_no_mention_behind_its_end(searches: Store) -> None:
    view = View(searches)
    stream = TokenStream.of(view, KINDS)
    slates = view.slates(gap_ms=50_000_000)
    before = stream.before(slates.user, slates.history_end, slates.time)
    start = np.searchsorted(stream.event_rows, slates.history_end)
    for s in range(0, len(before), 7):
        mine = stream.row[: before[s]]
        assert (mine >= 0).sum() == start[s]
        assert (mine[mine >= 0] < slates.history_end[s]).all()


def _open(store: Store, config: PinRecConfig) -> OpenPinRec:
    view = View(store)
    torch.manual_seed(1)
    share = torch.full((view.n_items,), -3.0)
    kind = OpenUniPinRec if isinstance(config, UniPinRecConfig) else OpenPinRec
    model = kind.network(
        config, Conditions.of(view), CatalogueEncoder.fit(view.item_table()), view, share,
        facts={"store_actions": list(store.manifest.actions)},
    )  # fmt: skip
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return kind(model, Conditions.of(view), view)


def test_continuing_with_a_query_equals_reading_it_with_the_rest(searches: Store) -> None:
    opened = _open(searches, CONFIG)
    users = opened.view.users[:6]
    whole = opened.histories(users)
    opened_now = opened.encode(whole)
    keep = whole.lengths - 1
    short = replace(whole, lengths=keep)
    last = torch.arange(len(users))

    def final(name: str) -> torch.Tensor:
        return getattr(whole, name)[last, keep][:, None]

    names = ("item", "time", "action", "deeds", "surface")
    more = replace(whole, **{name: final(name) for name in names}, lengths=torch.ones_like(keep))
    with torch.no_grad():
        grown = opened.model.append(opened.encode(short, room=1), more, opened.vectors(more.item))
    torch.testing.assert_close(grown.last_BD, opened_now.last_BD, atol=1e-5, rtol=1e-4)


def test_a_query_never_seen_reads_as_its_text(searches: Store) -> None:
    opened = _open(searches, CONFIG)
    known, new = opened.query_id("red things"), opened.query_id("things that are red")
    assert opened.view.n_items <= known < new == opened.query_id("things that are red")
    embedder = opened.model.phrases["query"]
    vectors = opened.vectors(torch.tensor([[3, known, new]]))
    torch.testing.assert_close(vectors[0, 0], opened.vectors_IE[3])
    torch.testing.assert_close(vectors[0, 1:], embedder.embed(["red things", "things that are red"]))  # type: ignore[operator]
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(1, 3), atol=1e-5)
    assert _open(searches, replace(CONFIG, mentions=())).query_id("red things") == -1
    assert (
        last_items(opened.histories(opened.view.users[:3]), opened.view.n_items).max() < opened.view.n_items
    )


def test_a_search_says_what_is_wanted_and_the_model_hears_it(searches: Store, tmp_path: Path) -> None:
    view = View(searches)
    train = View(searches, TimeWall(int(np.quantile(view.positives.time, 0.8))))
    cases = next_event_cases(view, train, exclude_seen=False)
    on_search = cases.subset(view.surfaces.decode(cases.surface) == np.array("search"))
    colour_of = np.array([int(name[1:]) // 5 for name in view.item_ids.decode(np.arange(view.n_items))])
    rates = {}
    for name, config in {"reads": CONFIG, "deaf": replace(CONFIG, mentions=())}.items():
        artifact = PinRecLearner(config).fit(train, run=Run(quiet=True, seed=0))
        artifact.save(tmp_path / name)
        opened = OpenPinRec.open(type(artifact).load(tmp_path / name), view)
        found = PinRecRecommender(opened, name).recommend(on_search, 1).items[:, 0]
        wanted = colour_of[on_search.target_item]
        rates[name] = float((colour_of[found] == wanted).mean())
    assert rates["reads"] > 0.7 > 0.4 > rates["deaf"], rates
