"""A small platform whose right answers are known: two circles of people, each with its own shelf of films."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.store import Store, build_store

DAY = 86_400_000
START = 1_600_000_000_000
GENRES = {"sea": ["Sea", "Adventure"], "town": ["Town", "Comedy"]}
N_ITEMS = 60
N_USERS = 40
N_WATCHED = 28
"""Films of each circle that somebody clicked; the last two of each are only in the catalogue."""
LONELY = "never-seen"
"""An item nobody has met: in the catalogue, without events."""


def items() -> pl.DataFrame:
    """60 films, `f00` to `f59`: the first half at sea, the second in town; one more without events or genres."""
    rows = []
    for i in range(N_ITEMS):
        place = "sea" if i < N_ITEMS // 2 else "town"
        title = f"The {place.title()} {i:02d}" if i else "L'Été à la Mer 00"
        rows.append({"item_id": f"f{i:02d}", "title": title, "genres": GENRES[place], "year": 1980 + i % 40})
    rows.append({"item_id": LONELY, "title": "Nothing Known", "genres": None, "year": None})
    return pl.DataFrame(rows)


def events() -> pl.DataFrame:
    """40 users, `u00` to `u39`: even ones go to sea, odd ones to town; 12 films each, one a day.

    Every third film is saved, the others clicked; each user hides one film of the other circle. `quiet` only hid
    something, so it has no history.
    """
    rng = np.random.default_rng(5)
    rows = []
    for u in range(N_USERS):
        half = u % 2 * (N_ITEMS // 2)
        for step, film in enumerate(half + rng.choice(N_WATCHED, 12, replace=False)):
            done = ["click", "save"] if film % 3 == 0 else ["click"]
            rows.append((f"u{u:02d}", f"f{film:02d}", START + (u + step) * DAY, done))
        other = (u % 2 + 1) % 2 * (N_ITEMS // 2) + u % 7
        rows.append((f"u{u:02d}", f"f{other:02d}", START + (u + 13) * DAY, ["hide"]))
    rows.append(("quiet", "f05", START, ["hide"]))
    names = ["user_id", "item_id", "timestamp", "actions"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(surface=pl.lit("home"))


def build(path: Path) -> Store:
    """The store of this world."""
    return build_store(
        path,
        {"items": items(), "events": events()},
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
        item_roles={"title": "title"},
        dataset="two circles",
        slate_rule="none",
    )
