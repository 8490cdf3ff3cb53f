"""The ingest configuration: one TOML file that maps a user's columns to the tables of the data contract."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from bowerbird.tables.errors import ConfigError, did_you_mean
from bowerbird.tables.ingest.config_errors import explain
from bowerbird.tables.ingest.layout import ColumnConfig, FeatureConfig, SourceConfig, Strict, known_zone
from bowerbird.tables.schema import TABLES, TIE_RULES
from bowerbird.tables.times import TimeRule


class IdsConfig(Strict):
    """Types of ids. `auto`: integers where every sampled id of every table is a whole number, else text."""

    user: Literal["auto", "integer", "string"] = "auto"
    item: Literal["auto", "integer", "string"] = "auto"


class TimesConfig(Strict):
    """Which times are possible, and the zone of times that name none.

    Attributes:
        earliest: Events before this date are rejected; `false` = no bound.
        latest_days_ahead: Events more than this many days in the future are rejected; `false` = no bound.
        zone: Default zone of times without one.
    """

    earliest: date | Literal[False] = date(1980, 1, 1)
    latest_days_ahead: float | Literal[False] = 1.0
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return known_zone(value)


class ActionsConfig(Strict):
    """What people do.

    Attributes:
        names: Declared actions, in order; empty = whatever the events say.
        negative: Actions that do not make an event positive.
        unknown: What to do with an action that is not declared: `add` it, `reject` the row, `ignore` the action.
            `reject` by default where names are declared, else `add`.
        rename: Name in the files to name in the store.
    """

    names: list[str] = Field(default_factory=list)
    negative: list[str] = Field(default_factory=list)
    unknown: Literal["add", "reject", "ignore"] | None = None
    rename: dict[str, str] = Field(default_factory=dict)

    @property
    def policy(self) -> Literal["add", "reject", "ignore"]:
        """What happens to an undeclared action."""
        return self.unknown or ("reject" if self.names else "add")


class IngestConfig(Strict):
    """Everything an ingest needs to know. `events` and `items` are required.

    Attributes:
        dataset: Name shown in reports.
        slate_rule: How slates are cut, printed in reports.
        tie_rule: Order of a user's events with equal timestamps.
        max_rejected_share: An ingest stops when a larger share of a table's rows is rejected.
        max_line_bytes: A longer line of a text file is rejected without being held in memory.
        ids, times, actions: See there.
        events, items, users, collections, links, labels, clips: The files of each table.
        folder: What relative file names start from.
    """

    dataset: str = "unnamed"
    slate_rule: str = "rows of one user that share a request_id; rows without one belong to no slate"
    tie_rule: str = "input"
    max_rejected_share: float = Field(default=0.01, ge=0, le=1)
    max_line_bytes: int = Field(default=1_048_576, ge=64)
    ids: IdsConfig = IdsConfig()
    times: TimesConfig = TimesConfig()
    actions: ActionsConfig = ActionsConfig()
    events: list[SourceConfig]
    items: list[SourceConfig]
    users: list[SourceConfig] = Field(default_factory=list)
    collections: list[SourceConfig] = Field(default_factory=list)
    links: list[SourceConfig] = Field(default_factory=list)
    labels: list[SourceConfig] = Field(default_factory=list)
    clips: list[SourceConfig] = Field(default_factory=list)
    folder: Path = Field(default=Path(), exclude=True)

    @field_validator(*TABLES, mode="before")
    @classmethod
    def _one_source(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @field_validator("tie_rule")
    @classmethod
    def _known_tie_rule(cls, value: str) -> str:
        if value not in TIE_RULES:
            raise ValueError(f"unknown tie rule {value!r}; {did_you_mean(value, TIE_RULES)}")
        return value

    @model_validator(mode="after")
    def _columns_of_the_contract(self) -> IngestConfig:
        for table, spec in TABLES.items():
            for source in self.sources(table):
                for name in source.columns:
                    if spec.column(name) is None:
                        more = " (other columns go under features)" if spec.features else ""
                        raise ValueError(
                            f"[{table}.columns] has no column {name!r}; {did_you_mean(name, spec.names)}{more}"
                        )
                for name in spec.required:
                    if name not in source.columns:
                        raise ValueError(f"[{table}.columns] must say which column is {name!r}")
                actions = source.columns.get("actions")
                given = list(actions.flags or [actions.constant] if actions and not actions.column else [])
                for action in given:
                    if self.actions.policy == "reject" and action not in self.actions.names:
                        hint = did_you_mean(str(action), self.actions.names)
                        raise ValueError(
                            f"[{table}.columns.actions]: action {action!r} is not declared; {hint}"
                        )
                if source.features and not spec.features:
                    raise ValueError(f"[{table}] takes no features; its columns are {', '.join(spec.names)}")
        return self

    def sources(self, table: str) -> list[SourceConfig]:
        """The sources of a table; empty where the configuration has none."""
        found: list[SourceConfig] = getattr(self, table)
        return found

    def time_rule(self, column: ColumnConfig | FeatureConfig | None, *, bounded: bool) -> TimeRule:
        """How a column of times is read.

        Args:
            column: What the configuration says about it.
            bounded: Whether the bounds of `[times]` apply.
        """
        earliest = latest = None
        if bounded and self.times.earliest is not False:
            first = datetime.combine(self.times.earliest, datetime.min.time(), tzinfo=UTC)
            earliest = int(first.timestamp() * 1000)
        if bounded and self.times.latest_days_ahead is not False:
            last = datetime.now(UTC) + timedelta(days=self.times.latest_days_ahead)
            latest = int(last.timestamp() * 1000)
        zone = (column.zone if column else None) or self.times.zone
        return TimeRule(
            column.unit if column else None, zone, column.format if column else None, earliest, latest
        )


def load_config(path: str | Path) -> IngestConfig:
    """Reads a configuration file.

    Raises:
        ConfigError: It is missing, not TOML, or a key or value is wrong; the message says which and what was meant.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; `bowerbird init` writes one from your files") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse_config(found, folder=path.parent, where=str(path))


def parse_config(
    content: dict[str, Any], *, folder: Path = Path(), where: str = "configuration"
) -> IngestConfig:
    """Checks a configuration given as nested dictionaries.

    Args:
        content: What a TOML file would hold.
        folder: What relative file names start from.
        where: Name of the configuration in messages.

    Raises:
        ConfigError: A key or value is wrong.
    """
    if "folder" in content:
        raise ConfigError(f"{where}: unknown key 'folder'; file names are relative to the configuration file")
    try:
        return IngestConfig.model_validate({**content, "folder": folder})
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error, IngestConfig)}") from error
