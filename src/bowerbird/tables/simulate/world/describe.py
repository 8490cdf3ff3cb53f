"""The public face of the catalogue: the items table, links that behaviour did not make, identity labels."""

from __future__ import annotations

import numpy as np
import polars as pl

from bowerbird.tables.simulate.config import ACTIONS, SimulationConfig
from bowerbird.tables.simulate.world.creators import Creators
from bowerbird.tables.simulate.world.items import Catalogue
from bowerbird.tables.simulate.world.language import Language, describe_item

FORMATS = ("photo", "video", "article")
ITEM_ROLES = {
    "title": "text",
    "description": "text",
    "category": "category",
    "tags": "categories",
    "format": "category",
    "minutes": "number",
    "creator_name": "text",
    "content": "vector",
}
"""Role of every feature column of the items table."""


def item_ids(numbers: np.ndarray, n_items: int) -> list[str]:
    """Public ids of item numbers: 'i' and the number, padded so that text order is number order."""
    width = len(str(n_items - 1))
    return [f"i{k:0{width}d}" for k in np.asarray(numbers).tolist()]


def creator_ids(numbers: np.ndarray, n_creators: int) -> list[str]:
    """Public ids of creator numbers."""
    width = len(str(n_creators - 1))
    return [f"c{k:0{width}d}" for k in np.asarray(numbers).tolist()]


def describe_items(
    config: SimulationConfig, language: Language, creators: Creators, catalogue: Catalogue
) -> pl.DataFrame:
    """The items table.

    Columns: item_id, title, description, category (group of topics), tags (topics), format, minutes,
    creator_id, creator_name, created_at (ms UTC) and, with vector_size > 0, content (a noisy content
    vector).
    """
    rng = np.random.Generator(np.random.Philox(key=[config.seed, 1]))
    n = config.n_items
    texts, tags = [], []
    for i in range(n):
        first, second, share = (
            int(catalogue.items["topic"][i]),
            int(catalogue.items["second"][i]),
            float(catalogue.items["share"][i]),
        )
        texts.append(describe_item(rng, language, first, second, share, catalogue.items["appeal"][i]))
        tags.append([language.names[first]] + ([language.names[second]] if share < 0.9 else []))
    reads = catalogue.items["appeal"][:, ACTIONS.index("long_click")]
    kind = np.searchsorted([-0.4, 0.6], 0.7 * reads + 0.7 * rng.standard_normal(n))
    minutes = np.round(np.exp(0.8 + 0.4 * reads + 0.6 * rng.standard_normal(n)), 1)
    frame = pl.DataFrame(
        {
            "item_id": item_ids(np.arange(n), n),
            "title": [t for t, _ in texts],
            "description": [d for _, d in texts],
            "category": [language.group_names[g] for g in catalogue.group[catalogue.items["topic"]].tolist()],
            "tags": tags,
            "format": [FORMATS[k] for k in kind.tolist()],
            "minutes": minutes,
            "creator_id": creator_ids(catalogue.items["creator"], config.n_creators),
            "creator_name": [creators.name[c] for c in catalogue.items["creator"].tolist()],
            "created_at": catalogue.items["created"],
        }
    )
    if config.vector_size:
        vector = content_vectors(rng, config, catalogue)
        frame = frame.with_columns(
            pl.Series("content", vector, dtype=pl.Array(pl.Float32, config.vector_size))
        )
    return frame


def content_vectors(rng: np.random.Generator, config: SimulationConfig, catalogue: Catalogue) -> np.ndarray:
    """What a pretrained encoder would see: topics and appeals through a random projection, half of it noise.

    Returns unit rows, float32[I, vector_size].
    """
    n_topics, d = len(catalogue.topic_share), config.vector_size
    group_DG = rng.standard_normal((len(catalogue.group_start) - 1, d))
    topic_KD = rng.standard_normal((n_topics, d)) + group_DG[catalogue.group]
    share = catalogue.items["share"][:, None]
    vector = share * topic_KD[catalogue.items["topic"]] + (1 - share) * topic_KD[catalogue.items["second"]]
    vector += 0.6 * catalogue.items["appeal"] @ rng.standard_normal((len(ACTIONS), d)) + rng.standard_normal(
        vector.shape
    )
    return (vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32)


def catalogue_links(config: SimulationConfig, creators: Creators, catalogue: Catalogue) -> pl.DataFrame:
    """Links that do not come from behaviour.

    item 'related' item (up to three of the same topic, made when the later one appeared) and creator
    'collaborates' creator (at the start of the log; only creators who made something, the others have no public id).
    """
    rng = np.random.Generator(np.random.Philox(key=[config.seed, 2]))
    n = config.n_items
    first = catalogue.topic_start[catalogue.items["topic"]]
    size = catalogue.topic_start[catalogue.items["topic"] + 1] - first
    source = np.repeat(np.arange(n), 3)
    other = catalogue.order[
        (first[:, None] + np.floor(rng.random((n, 3)) * size[:, None]).astype(np.int64)).ravel()
    ]
    pairs = np.unique(
        np.stack([np.maximum(source, other), np.minimum(source, other)], 1)[source != other], axis=0
    )
    related = link_frame(
        "item",
        item_ids(pairs[:, 0], n),
        "item",
        item_ids(pairs[:, 1], n),
        "related",
        catalogue.items["created"][pairs[:, 0]],
    )
    partners = creators.partners[np.isin(creators.partners, catalogue.items["creator"]).all(axis=1)]
    together = link_frame(
        "creator",
        creator_ids(partners[:, 0], config.n_creators),
        "creator",
        creator_ids(partners[:, 1], config.n_creators),
        "collaborates",
        np.full(len(partners), config.start_ms),
    )
    return pl.concat([related, together])


def link_frame(
    source_type: str,
    sources: list[str],
    target_type: str,
    targets: list[str],
    relation: str,
    times: np.ndarray,
) -> pl.DataFrame:
    """Rows of the links table: sources[k] relation targets[k] since times[k] (ms)."""
    frame = pl.DataFrame(
        {"source_id": sources, "target_id": targets, "timestamp": np.asarray(times, dtype=np.int64)},
        schema={"source_id": pl.String, "target_id": pl.String, "timestamp": pl.Int64},
    )
    return frame.select(
        pl.lit(source_type).alias("source_type"),
        "source_id",
        pl.lit(target_type).alias("target_type"),
        "target_id",
        pl.lit(relation).alias("relation"),
        "timestamp",
    )


def identity_labels(config: SimulationConfig, creators: Creators) -> pl.DataFrame:
    """Labels of task 'identity': for a share of the names, which person each account belongs to."""
    rng = np.random.Generator(np.random.Philox(key=[config.seed, 3]))
    known = rng.random(int(creators.block.max()) + 1) < config.label_share
    rows = np.flatnonzero(known[creators.block])
    return label_frame(
        "identity",
        "creator",
        creator_ids(rows, config.n_creators),
        [f"p{p}" for p in creators.person[rows].tolist()],
        np.full(len(rows), config.start_ms),
    )


def label_frame(task: str, kind: str, ids: list[str], labels: list[str], times: np.ndarray) -> pl.DataFrame:
    """Rows of the labels table."""
    frame = pl.DataFrame(
        {"entity_id": ids, "label": labels, "timestamp": np.asarray(times, dtype=np.int64)},
        schema={"entity_id": pl.String, "label": pl.String, "timestamp": pl.Int64},
    )
    return frame.select(
        pl.lit(task).alias("task"), pl.lit(kind).alias("entity_type"), "entity_id", "label", "timestamp"
    )
