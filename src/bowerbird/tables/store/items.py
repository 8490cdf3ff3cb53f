"""The item table in dense order, and the roles of its feature columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from bowerbird.tables.errors import ConfigError, TableError, did_you_mean
from bowerbird.tables.schema import ROLES, Columns, Role
from bowerbird.tables.store.vocabulary import Vocabulary

UNKNOWN_TIME = int(np.iinfo(np.int64).min)
"""`created` of an item that says nothing about when it was made."""

_FIXED = (Columns.ITEM, Columns.CREATOR, Columns.CREATED)
_TITLE_NAMES = ("title", "name", "headline", "label")
_SAMPLE = 2000


@dataclass(frozen=True)
class ItemTable:
    """All items in dense order, those seen only in events included (with null features).

    Attributes:
        frame: One row an item: `item_id`, the feature columns, and `creator_id`/`created_at` where given.
        roles: Role of each feature column.
        created: int64 (I,) ms UTC; `UNKNOWN_TIME` where the table says nothing.
        creator: int32 (I,) code in `creators`, -1 where unknown.
        creators: Creators in code order.
        has_row: bool (I,) False for items that were only seen in events.
        title_column: The column shown to people, or None.
    """

    frame: pl.DataFrame
    roles: dict[str, Role]
    created: np.ndarray
    creator: np.ndarray
    creators: Vocabulary
    has_row: np.ndarray
    title_column: str | None

    def __len__(self) -> int:
        return self.frame.height

    def title(self, item: int) -> str:
        """What to show a person for a dense item: its title, else its raw id."""
        found = self.frame[self.title_column][int(item)] if self.title_column else None
        return str(found if found is not None else self.frame[Columns.ITEM][int(item)])

    def columns(self, role: Role) -> list[str]:
        """Names of the feature columns with this role, in table order."""
        return [name for name, found in self.roles.items() if found == role]


def assemble_items(
    rows: pl.DataFrame | None,
    items: Vocabulary,
    creators: Vocabulary,
    roles: dict[str, Role],
    title_column: str | None,
) -> ItemTable:
    """Puts the stored item rows into dense order.

    Args:
        rows: The stored rows keyed by raw `item_id`, or None.
        items: Item vocabulary.
        creators: Creator vocabulary.
        roles: Role of each feature column.
        title_column: The column shown to people.
    """
    ids = pl.DataFrame({Columns.ITEM: items.ids})
    if rows is None:
        frame, has_row = ids, np.zeros(len(items), dtype=bool)
    else:
        marked = rows.with_columns(pl.lit(True).alias("__row"))
        frame = ids.join(marked, on=Columns.ITEM, how="left", maintain_order="left")
        has_row = frame["__row"].fill_null(False).to_numpy()
        frame = frame.drop("__row")
    created = np.full(len(items), UNKNOWN_TIME, dtype=np.int64)
    creator = np.full(len(items), -1, dtype=np.int32)
    if Columns.CREATED in frame.columns:
        created = frame[Columns.CREATED].fill_null(UNKNOWN_TIME).to_numpy().astype(np.int64)
    if Columns.CREATOR in frame.columns:
        creator = creators.encode(frame[Columns.CREATOR])
    return ItemTable(frame, roles, created, creator, creators, has_row, title_column)


def resolve_roles(frame: pl.DataFrame, declared: dict[str, str]) -> tuple[dict[str, Role], str | None]:
    """The role of each feature column, and the column shown to people.

    Declared roles win (`"title"` means text shown to people). For the rest: lists of text are `categories`, lists
    of numbers are `vector`, times are `timestamp`, numbers are `number`, and text is `text` where values are mostly
    distinct or hold several words, else `category`.

    Args:
        frame: Item rows.
        declared: Column name to role.

    Raises:
        ConfigError: An unknown role.
        TableError: A declared column is missing, or a column of a type no role fits.
    """
    roles: dict[str, Role] = {}
    title: str | None = None
    features = [name for name in frame.columns if name not in _FIXED]
    for name, role in declared.items():
        if name not in features:
            raise TableError(
                "a role is declared for a column that is not there",
                table="items",
                column=name,
                fix=did_you_mean(name, features),
            )
        if role == "title":
            title = name
        elif role not in ROLES:
            raise ConfigError(
                f"item column {name!r}: unknown role {role!r}; {did_you_mean(role, [*ROLES, 'title'])}"
            )
    for name in features:
        wanted = declared.get(name)
        roles[name] = "text" if wanted == "title" else wanted or guess_role(frame[name])  # type: ignore[assignment]
    if title is None:
        texts = [name for name, role in roles.items() if role == "text"]
        named = [name for name in texts if name.lower() in _TITLE_NAMES]
        title = (named or texts or [None])[0]  # type: ignore[list-item]
    return roles, title


def guess_role(values: pl.Series) -> Role:
    """The role a feature column most likely plays; see `resolve_roles` for the rule."""
    dtype = values.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        return "vector" if dtype.inner.is_numeric() else "categories"
    if dtype.is_temporal():
        return "timestamp"
    if dtype.is_numeric():
        return "number"
    if dtype in (pl.Boolean, pl.Categorical, pl.Enum):
        return "category"
    if dtype not in (pl.String, pl.Null):
        raise TableError(
            f"type {dtype} cannot be a feature",
            table="items",
            column=values.name,
            fix="turn it into text, a number, a list of text or a list of numbers, or drop the column",
        )
    sample = values.head(_SAMPLE).drop_nulls()
    if not len(sample):
        return "category"
    words = float(sample.str.count_matches(" ", literal=True).mean() or 0) + 1  # type: ignore[arg-type]
    return (
        "text" if words >= 2 or (len(sample) >= 20 and sample.n_unique() > 0.5 * len(sample)) else "category"
    )
