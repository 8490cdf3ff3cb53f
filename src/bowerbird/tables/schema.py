"""The tables of the data contract: their names, columns, keys and the roles a feature column can play.

Only `events` and `items` are required. These are the public column names, used by config files, data frames,
Parquet files and error messages alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Role = Literal["text", "category", "categories", "number", "timestamp", "vector"]
ROLES: Final[tuple[str, ...]] = get_args(Role)

Kind = Literal["user", "item", "id", "time", "text", "integer", "float", "actions"]
"""What a column holds: an id of the user or item vocabulary, another id, a time, plain text, a number, actions."""

IdType = Literal["integer", "string"]

SCHEMA_VERSION: Final = 1
MAX_ACTIONS: Final = 32
DEFAULT_SURFACE: Final = "default"
JOINT: Final = "\x1f"
"""What joins the action names of a row where they travel as one text."""


class Columns:
    """Public column names."""

    USER: Final = "user_id"
    ITEM: Final = "item_id"
    TIMESTAMP: Final = "timestamp"
    SURFACE: Final = "surface"
    REQUEST: Final = "request_id"
    POSITION: Final = "position"
    QUERY: Final = "query"
    ACTIONS: Final = "actions"
    WEIGHT: Final = "weight"
    CREATOR: Final = "creator_id"
    CREATED: Final = "created_at"
    COLLECTION: Final = "collection_id"
    TITLE: Final = "title"
    SOURCE_TYPE: Final = "source_type"
    SOURCE: Final = "source_id"
    TARGET_TYPE: Final = "target_type"
    TARGET: Final = "target_id"
    RELATION: Final = "relation"
    ATTRIBUTES: Final = "attributes"
    TASK: Final = "task"
    ENTITY_TYPE: Final = "entity_type"
    ENTITY: Final = "entity_id"
    LABEL: Final = "label"
    CLIP: Final = "clip_id"
    PATH: Final = "path"
    TRANSCRIPT: Final = "transcript"
    SPEAKER: Final = "speaker_id"


@dataclass(frozen=True)
class ColumnSpec:
    """One column of a table: its public name, what it holds, and whether a row without it is rejected."""

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True)
class TableSpec:
    """One table.

    Attributes:
        name: Name of the table.
        about: What one row is.
        columns: The columns with a fixed meaning.
        key: Columns that identify a row. With `upsert` the last row of a key wins; without it only rows that
            are equal in every column count as duplicates (the first is kept).
        upsert: See `key`.
        features: Whether further columns are allowed (they are kept as features).
    """

    name: str
    about: str
    columns: tuple[ColumnSpec, ...]
    key: tuple[str, ...]
    upsert: bool = False
    features: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns every row must fill."""
        return tuple(column.name for column in self.columns if column.required)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns with a fixed meaning."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnSpec | None:
        """The spec of column `name`, or None where the table gives it no fixed meaning."""
        return next((column for column in self.columns if column.name == name), None)


def _columns(*required: tuple[str, Kind], **optional: Kind) -> tuple[ColumnSpec, ...]:
    return tuple(ColumnSpec(name, kind, True) for name, kind in required) + tuple(
        ColumnSpec(name, kind) for name, kind in optional.items()
    )


TABLES: Final[dict[str, TableSpec]] = {
    spec.name: spec
    for spec in (
        TableSpec(
            "items",
            "a thing that can be shown",
            _columns((Columns.ITEM, "item"), creator_id="id", created_at="time"),
            key=(Columns.ITEM,),
            upsert=True,
            features=True,
        ),
        TableSpec(
            "events",
            "one item shown to one user, with what they did",
            _columns(
                (Columns.USER, "user"),
                (Columns.ITEM, "item"),
                (Columns.TIMESTAMP, "time"),
                surface="text",
                request_id="id",
                position="integer",
                query="text",
                actions="actions",
                weight="float",
            ),
            key=(
                Columns.USER,
                Columns.ITEM,
                Columns.TIMESTAMP,
                Columns.SURFACE,
                Columns.REQUEST,
                Columns.POSITION,
                Columns.QUERY,
                Columns.ACTIONS,
                Columns.WEIGHT,
            ),
        ),
        TableSpec(
            "users",
            "a person",
            _columns((Columns.USER, "user")),
            key=(Columns.USER,),
            upsert=True,
            features=True,
        ),
        TableSpec(
            "collections",
            "an item kept in a titled list (board, shelf, playlist)",
            _columns(
                (Columns.COLLECTION, "id"),
                (Columns.ITEM, "item"),
                title="text",
                user_id="user",
                timestamp="time",
            ),
            key=(Columns.COLLECTION, Columns.ITEM),
            features=True,
        ),
        TableSpec(
            "links",
            "any other typed edge",
            _columns(
                (Columns.SOURCE_TYPE, "text"),
                (Columns.SOURCE, "id"),
                (Columns.TARGET_TYPE, "text"),
                (Columns.TARGET, "id"),
                (Columns.RELATION, "text"),
                timestamp="time",
                attributes="text",
            ),
            key=(Columns.SOURCE_TYPE, Columns.SOURCE, Columns.TARGET_TYPE, Columns.TARGET, Columns.RELATION),
            features=True,
        ),
        TableSpec(
            "labels",
            "a judgement",
            _columns(
                (Columns.TASK, "text"),
                (Columns.ENTITY_TYPE, "text"),
                (Columns.ENTITY, "id"),
                (Columns.LABEL, "text"),
                timestamp="time",
            ),
            key=(Columns.TASK, Columns.ENTITY_TYPE, Columns.ENTITY),
            features=True,
        ),
        TableSpec(
            "clips",
            "a recording",
            _columns((Columns.CLIP, "id"), path="text", transcript="text", speaker_id="id"),
            key=(Columns.CLIP,),
            upsert=True,
            features=True,
        ),
    )
}

SIDE_TABLES: Final = ("users", "collections", "links", "labels", "clips")
"""Tables kept as rows; `events` become columns and `items` become the item table."""

TIE_RULES: Final[dict[str, str]] = {
    "input": "events of one user with equal timestamps keep the order in which they were read",
    "slate": "events of one user with equal timestamps are ordered by request, position, then order of reading",
    "item": "events of one user with equal timestamps are ordered by dense item id, then order of reading",
}
