"""The demo command: bundled data, a trained model, its evaluation, and the page. A second run finds all of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bowerbird.cli.commands.learning import report_on, show_saved
from bowerbird.cli.commands.serving import House, open_page
from bowerbird.cli.kept import content_of, kept, key_of
from bowerbird.cli.show import say
from bowerbird.cli.splits import Protocol, training_views

DATASET = "movielens"
LEARNER = "unipinrec"


def demo(
    folder: Annotated[
        Path, typer.Option(envvar="BOWERBIRD_DEMO", help="Where data, model and report are kept.")
    ] = Path("demo"),
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="End with the page, or with the table.")
    ] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 picks a free one.")] = 8000,
    minutes: Annotated[float, typer.Option(min=0.01, help="Longest training time.")] = 3.5,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of the model, e.g. epochs=5. Repeat for several."),
    ] = None,
) -> None:
    """Show everything on bundled data: ingest, train, evaluate beside baselines, open the page.

    Takes some minutes the first time and seconds after that: each step is kept until what it was made from changes.
    The data are MovieLens latest-small, for non-commercial use (see its licence file).

    Examples:

    - `bowerbird demo`
    - `bowerbird demo --no-serve`
    """
    import bowerbird
    from bowerbird.learn.registry import learner
    from bowerbird.learn.run import Run
    from bowerbird.learn.settings import resolve, to_dict
    from bowerbird.tables.datasets import bundled, load_dataset
    from bowerbird.tables.store import Store

    files = bundled(DATASET)
    with _step(1, "data: MovieLens latest-small into a store") as step:
        key = key_of(DATASET, content_of(files), bowerbird.__version__)
        store_path, step.found = kept(folder, "store", key, lambda path: load_dataset(DATASET, files, path))
        store = Store.open(store_path)
        step.says = f"{len(store.events):,} events, {store.n_users:,} users, {store.n_items:,} items"

    kind = learner(LEARNER)
    config: Any = resolve(
        kind.config_class, size="s", overrides=[f"max_minutes={minutes}", *(settings or ())]
    )
    with _step(2, f"model: train {LEARNER}, at most {minutes:g} min") as step:
        key = key_of(LEARNER, to_dict(config), store.manifest.content_hash, bowerbird.__version__)

        def fit(path: Path) -> None:
            train, valid = training_views(store, Protocol.TIME)
            kind(config).fit(train, valid=valid, run=Run(seed=0)).save(path)

        model_path, step.found = kept(folder, "model", key, fit)
        step.says = f"in {model_path}"

    with _step(3, "evaluation: on the last tenth of the log, beside the baselines") as step:
        report_path, step.found = kept(
            folder, "report", key_of(key), lambda path: report_on([model_path], store, path, Run(quiet=True))
        )
        step.says = f"{report_path / 'report.html'}"
    show_saved(report_path)
    if serve:
        open_page(House(store_path, model_path, online=str(folder / "online.sqlite")), "127.0.0.1", port)
    else:
        say(f"the page: bowerbird serve --artifact {model_path} --store {store_path}")


@dataclasses.dataclass
class _Step:
    found: bool = False
    says: str = ""


@contextmanager
def _step(number: int, title: str) -> Iterator[_Step]:
    say(f"[{number}/3] {title}")
    started = time.perf_counter()
    step = _Step()
    yield step
    how = "found" if step.found else f"{time.perf_counter() - started:.1f} s"
    say(f"      {how}: {step.says}")
