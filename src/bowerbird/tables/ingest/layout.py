"""How files are laid out and which of their columns mean what: the parts of an ingest configuration."""

from __future__ import annotations

from typing import Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.schema import ROLES

FileFormat = Literal["auto", "csv", "tsv", "jsonl", "parquet"]


class Strict(BaseModel):
    """A section of the configuration: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FlagConfig(Strict):
    """A column that says whether an action happened.

    Attributes:
        column: The column: true, yes or a number other than 0 means that it happened.
        at_least: With this the action happened where the number is at least as large (a rating, a watch time).
    """

    column: str
    at_least: float | None = None


class ColumnConfig(Strict):
    """Where a column of the contract comes from: exactly one of `column`, `constant` and `flags`.

    Attributes:
        column: Column in the file.
        constant: The same value for every row of this source.
        flags: For `actions`: action name to the column that says whether it happened.
        unit: For times as numbers: `s`, `ms`, `us` or `ns`; inferred when left out.
        zone: For times without a zone: an IANA zone such as `Europe/Berlin`.
        format: For times as text that is not ISO: a `strftime` format.
        separator: For `actions` and `categories` as text: what separates the values.
    """

    column: str | None = None
    constant: str | int | float | None = None
    flags: dict[str, FlagConfig] | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None
    zone: str | None = None
    format: str | None = None
    separator: str | None = None

    @field_validator("flags", mode="before")
    @classmethod
    def _short_flags(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: {"column": flag} if isinstance(flag, str) else flag for name, flag in value.items()}
        return value

    @field_validator("zone")
    @classmethod
    def _knownknown_zone(cls, value: str | None) -> str | None:
        return known_zone(value) if value is not None else None

    @model_validator(mode="after")
    def _one_origin(self) -> ColumnConfig:
        given = [name for name in ("column", "constant", "flags") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of column, constant and flags (found {found})")
        return self


class FeatureConfig(Strict):
    """A feature column of `items`, `users` and the other tables that allow features.

    Attributes:
        column: Column in the file; the name of the feature when left out.
        role: `text`, `title` (text shown to people), `category`, `categories`, `number`, `timestamp` or `vector`;
            guessed from the values when left out.
        separator: For `categories` and `vector` as text; a JSON list needs none. `|` by default.
        unit, zone, format: For `timestamp`, as in `ColumnConfig`.
    """

    column: str | None = None
    role: str | None = None
    separator: str = "|"
    unit: Literal["s", "ms", "us", "ns"] | None = None
    zone: str | None = None
    format: str | None = None

    @field_validator("role")
    @classmethod
    def _known_role(cls, value: str | None) -> str | None:
        if value is not None and value not in (*ROLES, "title"):
            raise ValueError(f"unknown role {value!r}; {did_you_mean(value, [*ROLES, 'title'])}")
        return value


class SourceConfig(Strict):
    """Files of one table that share a layout.

    Attributes:
        files: Files, folders or globs, relative to the configuration file; `.gz` is read as it is.
        format: `auto` goes by the name of the file.
        delimiter: Of text files; `,` for CSV and a tab for TSV by default.
        quote: Quote character of text files; `""` = none. `"` for CSV, none for TSV by default.
        header: Whether the first line of a text file names the columns.
        names: Column names of a text file without a header.
        columns: Column of the contract to where it comes from (a plain text is the name of the column in the file).
        features: Feature name to column, role or both. Left out: every column that is not mapped and does not
            carry a name of the contract is a feature.
    """

    files: list[str]
    format: FileFormat = "auto"
    delimiter: str | None = None
    quote: str | None = None
    header: bool = True
    names: list[str] | None = None
    columns: dict[str, ColumnConfig]
    features: dict[str, FeatureConfig] | None = None

    @field_validator("files", mode="before")
    @classmethod
    def _one_file(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("columns", mode="before")
    @classmethod
    def _short_columns(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: {"column": found} if isinstance(found, str) else found for name, found in value.items()
            }
        return value

    @field_validator("features", mode="before")
    @classmethod
    def _short_features(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {name: {} for name in value}
        if isinstance(value, dict):
            return {
                name: {"role": found} if isinstance(found, str) else found for name, found in value.items()
            }
        return value

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_byte(cls, value: str | None) -> str | None:
        if value is not None and len(value.encode()) > 1:
            raise ValueError(f"must be one character, not {value!r}")
        return value

    @model_validator(mode="after")
    def _named(self) -> SourceConfig:
        if not self.files:
            raise ValueError("no files given")
        if not self.header and not self.names:
            raise ValueError("header = false needs names = [...]")
        return self


def known_zone(name: str) -> str:
    """The name of a time zone, checked.

    Raises:
        ValueError: No such zone.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"unknown time zone {name!r}; {did_you_mean(name, available_timezones())}"
        ) from error
    return name
