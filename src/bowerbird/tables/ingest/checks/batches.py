"""Checking the rows of one source: every column gets its stored type, bad rows get a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError, did_you_mean
from bowerbird.tables.ingest.checks.actions import check_action_column, check_flags, join_flags
from bowerbird.tables.ingest.checks.checked import EMPTY, Checked
from bowerbird.tables.ingest.checks.features import check_feature, check_time_feature, guess_text_role
from bowerbird.tables.ingest.checks.values import (
    blank_to_null,
    check_id,
    check_number,
    check_position,
    check_text,
    check_text_id,
)
from bowerbird.tables.ingest.config import IngestConfig
from bowerbird.tables.ingest.layout import ColumnConfig, FeatureConfig, SourceConfig
from bowerbird.tables.ingest.readers import RawBatch, SourceFile
from bowerbird.tables.schema import JOINT, TABLES, Columns, ColumnSpec, IdType
from bowerbird.tables.times import TimeRule, Unit, infer_unit, parse_times

VECTOR_LENGTH = "vector has another length than the first one"
_SAMPLE = 10_000
_SHOWN = 200


@dataclass(frozen=True)
class Rejected:
    """A row that is refused.

    Attributes:
        line: Line or row number in the file, counted from 1.
        column: Column in the file, or None where the whole row is broken.
        value: The value, shortened.
        reason: Why.
    """

    line: int
    column: str | None
    value: str
    reason: str


class SourceChecker:
    """Checks the batches of one source; what has to be inferred is inferred from its first batch.

    Args:
        table: Name of the table.
        source: The source.
        config: The whole configuration.
        id_types: Types of `user` and `item` ids.
        roles: Roles the store already knows for features of this table.
    """

    def __init__(
        self,
        table: str,
        source: SourceConfig,
        config: IngestConfig,
        id_types: dict[str, IdType],
        roles: dict[str, str],
    ) -> None:
        self.spec, self.source, self.config = TABLES[table], source, config
        self.id_types, self.roles = id_types, dict(roles)
        self._units: dict[str, Unit] = {}
        self._lengths: dict[str, int] = {}

    def plan(self, file: SourceFile, available: list[str]) -> list[str]:
        """The columns to read from a file.

        Args:
            file: The file.
            available: Its columns.

        Raises:
            TableError: A mapped column is not in the file.
        """
        wanted: dict[str, bool] = {}
        for name, column in self.source.columns.items():
            spec = self.spec.column(name)
            for found in (
                [column.column] if column.column else [flag.column for flag in (column.flags or {}).values()]
            ):
                wanted[found] = (
                    wanted.get(found, False) or bool(spec and spec.required) or file.format != "jsonl"
                )
        features = self._features(available)
        for name, feature in features.items():
            wanted.setdefault(feature.column or name, file.format != "jsonl")
        for found, needed in wanted.items():
            if found not in available and needed:
                raise TableError(
                    f"column {found!r} is not in file {file.label}; it has {', '.join(map(repr, available)) or 'none'}",
                    table=self.spec.name,
                    fix=f"{did_you_mean(found, available)} Correct the mapping of this table, or the file.",
                )
        return list(wanted)

    def _features(self, available: list[str]) -> dict[str, FeatureConfig]:
        if not self.spec.features:
            return {}
        if self.source.features is not None:
            return self.source.features
        used = {column.column for column in self.source.columns.values()}
        return {
            name: FeatureConfig() for name in available if name not in used and name not in self.spec.names
        }

    def check(self, batch: RawBatch) -> tuple[pl.DataFrame, list[Rejected]]:
        """Checks a batch.

        Returns:
            The good rows in normal form, and the rejected ones (broken rows included).
        """
        raw, size = batch.frame, batch.frame.height
        rejected = [Rejected(row.line, None, row.value, row.reason) for row in batch.broken]
        if not size:
            return pl.DataFrame(), sorted(rejected, key=lambda row: row.line)
        values: dict[str, pl.Series] = {}
        found: list[tuple[str, np.ndarray, str]] = []
        for name, column in self.source.columns.items():
            spec = self.spec.column(name)
            assert spec is not None  # the configuration knows the contract
            values[name] = self._column(spec, column, raw, found).rename(name)
        for name, feature in self._features(raw.columns).items():
            source = feature.column or name
            checked = self._feature(name, feature, raw[source])
            found += [(source, mask, reason) for mask, reason in checked.problems]
            values[name] = checked.values.rename(name)
        frame = pl.DataFrame(values)
        if not found:
            return frame, sorted(rejected, key=lambda row: row.line)
        blame = np.full(size, -1, dtype=np.int32)
        for number, (_, mask, _) in enumerate(found):
            blame[mask & (blame < 0)] = number
        for row in np.flatnonzero(blame >= 0).tolist():
            source, _, reason = found[blame[row]]
            rejected.append(Rejected(int(batch.lines[row]), source, _shown(raw, source, row), reason))
        return frame.filter(blame < 0), sorted(rejected, key=lambda row: row.line)

    def _column(
        self,
        spec: ColumnSpec,
        column: ColumnConfig,
        raw: pl.DataFrame,
        found: list[tuple[str, np.ndarray, str]],
    ) -> pl.Series:
        if column.flags is not None:
            flags = check_flags({name: raw[flag.column] for name, flag in column.flags.items()}, column.flags)
            for name, checked in flags.items():
                found += [(column.flags[name].column, mask, reason) for mask, reason in checked.problems]
            return join_flags({name: checked.values for name, checked in flags.items()})
        if column.column is None:
            label, given = (
                f"{spec.name} (constant)",
                pl.Series([column.constant]).new_from_index(0, raw.height),
            )
        else:
            label, given = column.column, raw[column.column]
        checked = self._check(spec, column, given.rename(label))
        if spec.required:
            missing = checked.values.is_null().to_numpy().copy()
            for mask, _ in checked.problems:
                missing &= ~mask
            checked.refuse(missing, EMPTY)
        found += [(label, mask, reason) for mask, reason in checked.problems]
        return checked.values

    def _check(self, spec: ColumnSpec, column: ColumnConfig, given: pl.Series) -> Checked:
        if spec.kind in ("user", "item"):
            return check_id(given, self.id_types[spec.kind])
        if spec.kind == "id":
            return check_text_id(given)
        if spec.kind == "time":
            rule = self.config.time_rule(column, bounded=spec.name == Columns.TIMESTAMP)
            given = blank_to_null(given) if given.dtype == pl.String else given
            parsed = parse_times(given, self._unit(spec.name, given, rule), rule)
            return Checked(parsed.values, parsed.problems)
        if spec.kind == "actions":
            return check_action_column(given, column, self.config.actions)
        if spec.kind == "integer":
            return check_position(given)
        return check_number(given, pl.Float32) if spec.kind == "float" else check_text(given)

    def _unit(self, name: str, given: pl.Series, rule: TimeRule) -> Unit:
        if name not in self._units:
            self._units[name] = infer_unit(given.head(_SAMPLE), rule)
        return self._units[name]

    def _feature(self, name: str, feature: FeatureConfig, given: pl.Series) -> Checked:
        if name not in self.roles and feature.role is None and given.dtype == pl.String:
            guessed = guess_text_role(given.head(_SAMPLE))
            if guessed:
                self.roles[name] = guessed
        role = feature.role or self.roles.get(name)
        if role is None and isinstance(given.dtype, (pl.List, pl.Array)) and given.dtype.inner.is_numeric():
            role = "vector"
        if role == "timestamp" or (role is None and given.dtype.is_temporal()):
            rule = self.config.time_rule(feature, bounded=False)
            given = blank_to_null(given) if given.dtype == pl.String else given
            return check_time_feature(given, self._unit(name, given, rule), rule)
        checked = check_feature(given, role, feature)
        if role == "vector":
            lengths = checked.values.list.len()
            if name not in self._lengths and lengths.drop_nulls().len():
                self._lengths[name] = int(lengths.drop_nulls()[0])
            checked.refuse(lengths != self._lengths.get(name, 0), VECTOR_LENGTH)
        return checked


def _shown(raw: pl.DataFrame, column: str, row: int) -> str:
    value: Any = raw[column][row] if column in raw.columns else None
    text = (
        "" if value is None else (", ".join(map(str, value)) if isinstance(value, pl.Series) else str(value))
    )
    return text.replace(JOINT, "|")[:_SHOWN]
