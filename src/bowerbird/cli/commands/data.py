"""Commands that make stores: init, ingest, dataset, simulate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bowerbird.cli.options import Overwrite, StoreOption
from bowerbird.cli.show import err, out, say

if TYPE_CHECKING:
    from bowerbird.tables.datasets import DatasetAdapter


def init(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders with your tables (CSV, TSV, JSONL, Parquet).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the configuration.")] = Path(
        "bowerbird.toml"
    ),
    overwrite: Overwrite = False,
) -> None:
    """Look at your files and write a configuration with commented guesses.

    Look it over, correct what was guessed wrong, then run `bowerbird ingest`.

    Examples:

    - `bowerbird init events.csv items.csv -o bowerbird.toml`
    - `bowerbird init exports/`
    """
    from bowerbird.tables.atomic import write_atomic
    from bowerbird.tables.errors import ConfigError
    from bowerbird.tables.ingest import guess_config

    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists; give --overwrite to replace it, or another --output")
    text = guess_config(paths, folder=output.parent)
    write_atomic(output, text.encode())
    say(f"wrote {output}; look it over, then: bowerbird ingest {output} --store store")


def ingest(
    config: Annotated[Path, typer.Argument(help="The configuration that `bowerbird init` wrote.")],
    store: StoreOption = Path("store"),
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Replace the store instead of adding to it.")
    ] = False,
) -> None:
    """Read your files into a store.

    Running it again changes nothing; with more files, or longer ones, it adds what is new. Rows that cannot be read
    land in a file inside the store, with the reason, the file and the line.

    Examples:

    - `bowerbird ingest bowerbird.toml --store store`
    """
    from bowerbird.tables.ingest import ingest as run
    from bowerbird.tables.ingest import load_config

    summary = run(load_config(config), store, progress=err(), fresh=fresh)
    out().print(str(summary), markup=False, soft_wrap=True)


def dataset(
    name: Annotated[str | None, typer.Argument(help="A known data set; left out: list them.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="Folder with its published files; left out: the bundled ones.")
    ] = None,
    store: StoreOption = Path("store"),
    seed: Annotated[
        int | None, typer.Option(help="Seed of the split, for data sets that draw their own.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Read a known data set into a store, or list the known ones with their licences.

    Examples:

    - `bowerbird dataset`
    - `bowerbird dataset movielens --store store`
    - `bowerbird dataset amazon --path amazon_beauty/ --store store`
    - `bowerbird dataset citeulike --path citeulike-a/ --seed 1`
    """
    from bowerbird.tables.datasets import DATASETS, bundled, load_dataset

    if name is None:
        _list_datasets(DATASETS)
        return
    folder = bundled(name) if path is None else path
    found = load_dataset(name, folder, store, seed=seed, overwrite=overwrite)
    counts = found.manifest.counts
    say(
        f"{found.manifest.dataset}: {counts['events']:,} events, {found.n_users:,} users, {found.n_items:,} items"
    )
    say(f"licence: {DATASETS[name].licence}")
    say(f"store: {store}; next: bowerbird fit pinrec --store {store} --out model")


def _list_datasets(known: Mapping[str, DatasetAdapter]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", show_lines=True)
    for column in ("name", "licence", "how to get it"):
        table.add_column(column, overflow="fold")
    for name, adapter in known.items():
        table.add_row(Text(f"{name}\n{adapter.title}"), Text(adapter.licence), Text(adapter.how_to_get))
    out().print(table)


def simulate(
    events: Annotated[int, typer.Option(min=1, help="Number of events, 1,000 to 10,000,000.")] = 200_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal stores.")] = 0,
    store: StoreOption = Path("simulated"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A knob, e.g. spam_share=0.05. Repeat for several.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Simulate a platform whose right answers are known, as a store with a `truth` folder inside.

    Examples:

    - `bowerbird simulate --events 200000 --seed 1 --store simulated`
    """
    from rich.progress import Progress

    from bowerbird.learn.settings import override
    from bowerbird.tables.simulate import SimulationConfig
    from bowerbird.tables.simulate import simulate as run

    changed = override(SimulationConfig(n_events=events, seed=seed), settings or ())
    names = [text.partition("=")[0].strip() for text in settings or ()]
    knobs = {name: getattr(changed, name) for name in names}
    with Progress(console=err(), transient=True) as progress:
        task = progress.add_task("simulate", total=events)
        found = run(
            store, events, seed, overwrite=overwrite,
            progress=lambda done: progress.update(task, completed=done), **knobs,
        )  # fmt: skip
    counts = f"{len(found.events):,} events, {found.n_users:,} users, {found.n_items:,} items"
    say(f"{store}: {counts}; the truth is in {store / 'truth'}")
