"""`bowerbird init`: a first configuration from a look at the files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.ingest.guessing.samples import Sample, take_samples
from bowerbird.tables.ingest.guessing.tables import Guess, guess_table, quoted
from bowerbird.tables.schema import TABLES, Columns

__all__ = ["guess_config"]

_MANY = 6
_ONE_FILE_TABLES = ("items", "users", "clips")
"""Tables in which a later row replaces an earlier one: a second layout would wipe out the first."""


def guess_config(paths: Sequence[Path], *, folder: Path, dataset: str | None = None) -> str:
    """Looks at names, headers and first values, and writes a configuration with its guesses commented.

    Args:
        paths: The person's files and folders.
        folder: Where the configuration will be; file names are written relative to it.
        dataset: Name of the data set; the name of the first path by default.

    Returns:
        TOML text that `load_config` reads.

    Raises:
        ConfigError: No file looks like events; the message says what was found in each file.
    """
    samples, trouble = take_samples(paths, folder)
    guesses = [(sample, guess_table(sample)) for sample in samples]
    left_out = list(trouble)
    sources: dict[str, list[tuple[list[Sample], Guess]]] = {}
    for sample, guess in guesses:
        if guess.table is None:
            left_out.append(f"{sample.label}: {guess.why} (columns: {', '.join(sample.columns)})")
            continue
        found = sources.setdefault(guess.table, [])
        same = next((group for group, _ in found if group[0].layout == sample.layout), None)
        if same is not None:
            same.append(sample)
        else:
            found.append(([sample], guess))
    if "events" not in sources:
        raise ConfigError(
            "no file looks like events: a column of users, one of items and one of times are needed.\n  "
            + "\n  ".join(
                left_out or [f"{sample.label}: looks like {guess.table}" for sample, guess in guesses]
            )
        )
    for table in _ONE_FILE_TABLES:
        if len(sources.get(table, [])) > 1:
            ranked = sorted(sources[table], key=_richness, reverse=True)
            sources[table] = ranked[:1]
            left_out += [f"{group[0].label}: also looks like {table}" for group, _ in ranked[1:]]
    name = dataset or (paths[0].stem if paths else "unnamed")
    return _write(name, sources, left_out)


def _richness(source: tuple[list[Sample], Guess]) -> tuple[bool, int]:
    _, guess = source
    return quoted("title") in guess.features.values(), len(guess.features)


def _write(dataset: str, sources: dict[str, list[tuple[list[Sample], Guess]]], left_out: list[str]) -> str:
    has_requests = any(Columns.REQUEST in guess.columns for _, guess in sources["events"])
    lines = [
        "# Written by `bowerbird init` from a look at your files. Every line is a guess: check it, then run",
        "# `bowerbird ingest`.",
        "",
        f"dataset = {quoted(dataset)}",
    ]
    if not has_requests:
        lines.append(
            'slate_rule = "the log has no request ids: no slates"  # map request_id below if there is one'
        )
    lines += [
        "max_rejected_share = 0.01  # the ingest stops when more than 1 % of a table's rows are rejected",
        "",
        "[actions]",
        "negative = []  # actions that say no, such as hide or dislike",
        '# names = ["click", "save"]  # declare the actions to have any other one rejected',
        "",
        "[times]",
        'zone = "UTC"  # zone of times that do not name one',
        "",
    ]
    if "items" not in sources:
        group, guess = sources["events"][0]
        bare = Guess("items", {Columns.ITEM: guess.columns[Columns.ITEM]})
        lines.append("# No file describes the items, so their ids are taken from the events.")
        lines += [*_section("items", group, bare, repeated=False), "", "[items.features]", ""]
    for table in TABLES:
        for group, guess in sources.get(table, []):
            lines += [*_section(table, group, guess, repeated=len(sources[table]) > 1), ""]
    if left_out:
        lines += ["# Not used:", *(f"#   {' '.join(line.split())}" for line in left_out), ""]
    return "\n".join(lines)


def _section(table: str, group: list[Sample], guess: Guess, *, repeated: bool) -> list[str]:
    first = group[0]
    names = [sample.label for sample in group]
    files = f"[{', '.join(map(quoted, names))}]" if len(names) < _MANY else _glob(group)
    lines = [f"[[{table}]]" if repeated else f"[{table}]", f"files = {files}"]
    if first.delimiter:
        lines.append(f"delimiter = {quoted(first.delimiter)}")
    # Sub-tables, because an inline table must stand on one line.
    place = f"{table}.columns"
    lines += ["", f"[{place}]", *_entries(guess.columns, guess.notes)]
    if guess.features:
        lines += ["", f"[{table}.features]", *_entries(guess.features, {})]
    return lines


def _entries(values: dict[str, str], notes: dict[str, str]) -> list[str]:
    keys = {name: name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name) for name in values}
    width = max(len(key) for key in keys.values())
    return [
        f"{keys[name]:<{width}} = {value}"
        + (f"  # {' '.join(notes[name].split())}" if notes.get(name) else "")
        for name, value in values.items()
    ]


def _glob(group: list[Sample]) -> str:
    """One pattern for many files of one folder."""
    first = group[0]
    suffix = "".join(first.path.suffixes[-2:] if first.path.suffix == ".gz" else first.path.suffixes[-1:])
    parent = Path(first.label).parent.as_posix()
    return quoted(f"{'' if parent == '.' else parent + '/'}*{suffix}")
