"""Commands about models: fit, evaluate, ledger."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bowerbird.cli.options import StoreOption
from bowerbird.cli.show import out, say
from bowerbird.cli.splits import Protocol, split_of, training_views

if TYPE_CHECKING:
    from bowerbird.learn.artifact import Artifact
    from bowerbird.learn.run import Run
    from bowerbird.tables.store import Store

_WIDTH = 150
"""Columns of a saved table; a narrower terminal wraps it."""


class Size(StrEnum):
    """Presets."""

    S = "s"
    M = "m"
    L = "l"


def fit(
    learner: Annotated[str, typer.Argument(help="Name of the learner, e.g. pinrec.")],
    store: StoreOption = Path("store"),
    out_: Annotated[Path, typer.Option("--out", help="Folder for the fitted model.")] = Path("model"),
    size: Annotated[Size, typer.Option(help="s: two CPU cores; m: a workstation; l: one GPU.")] = Size.S,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, e.g. epochs=10. Repeat for several.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="One seed or several, e.g. 0,1,2; several make folders seed-0, ...")] = "0",
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="time: the last 20 % of the log are kept for evaluation; last-out: each user's last two "
            "events; users: as time, and only users that training never met are asked about; given: the data "
            "set's own; all: learn from everything, nothing is left to evaluate on."
        ),
    ] = Protocol.TIME,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:  # fmt: skip
    """Fit a model to a store.

    Examples:

    - `bowerbird fit pinrec --store store --out model`
    - `bowerbird fit pinrec --store store --out models --size m --set epochs=40 --seeds 0,1,2`
    """
    wanted = _seeds(seeds)

    from bowerbird.learn.registry import learner as learner_class
    from bowerbird.learn.run import Run
    from bowerbird.learn.settings import resolve
    from bowerbird.tables.store import Store

    kind = learner_class(learner)
    config: Any = resolve(kind.config_class, size=size.value, overrides=settings or ())
    train, valid = training_views(Store.open(store), protocol)
    for seed in wanted:
        folder = out_ if len(wanted) == 1 else out_ / f"seed-{seed}"
        run = Run(folder.parent / f"{folder.name}.run", seed=seed, device=device, quiet=quiet, resume=resume)
        artifact = kind(config).fit(train, valid=valid, run=run)
        artifact.save(folder)
        say(f"{folder}: {_facts(artifact)}")
    ready = out_ if len(wanted) == 1 else out_ / f"seed-{wanted[0]}"
    if protocol is not Protocol.ALL:
        say(f"next: bowerbird evaluate {ready} --store {store}")
    say(f"next: bowerbird serve --artifact {ready} --store {store}")


def evaluate(
    artifacts: Annotated[list[Path], typer.Argument(help="Folders of fitted models.")],
    store: StoreOption = Path("store"),
    report: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")] = Path("report"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Measure models beside the honest baselines, on what they have not seen.

    The part of the log that was kept back when a model was fitted is found again from the model itself. Several models
    give one report each, in folders of their names.

    Examples:

    - `bowerbird evaluate model --store store --report report`
    - `bowerbird evaluate models/seed-0 models/seed-1 models/seed-2 --store store`
    """
    from bowerbird.learn.run import Run
    from bowerbird.tables.store import Store

    opened = Store.open(store)
    for artifact in artifacts:
        folder = report if len(artifacts) == 1 else report / artifact.name
        report_on(artifact, opened, folder, Run(device=device))
        show_saved(folder)
        say(f"report: {folder / 'report.html'}")


def report_on(artifact: Path, store: Store, folder: Path, run: Run) -> None:
    """Evaluates a fitted model and writes `report.html`, `report.json` and `report.txt` (the table)."""
    from io import StringIO

    from rich.console import Console

    from bowerbird.evaluate.report import Report
    from bowerbird.learn.artifact import Artifact
    from bowerbird.learn.registry import learner as learner_class
    from bowerbird.tables.atomic import write_atomic
    from bowerbird.tables.errors import ConfigError

    found = Artifact.load(artifact)
    views = split_of(store, found)
    model = learner_class(found.learner).from_artifact(found)
    report = model.evaluate(found, views.test, since=views.valid, run=run)
    if not isinstance(report, Report):
        raise ConfigError(f"{found.learner} is not measured by a report; see its own documentation")
    report.save(folder)
    text = StringIO()
    report.print(Console(file=text, width=_WIDTH, color_system=None, force_terminal=False))
    write_atomic(folder / "report.txt", text.getvalue().encode())


def show_saved(folder: Path) -> None:
    """Prints the table of a report that was written before."""
    out().print((folder / "report.txt").read_text(), markup=False, soft_wrap=True)


def _facts(artifact: Artifact) -> str:
    facts = artifact.facts
    parts = [artifact.learner]
    if "parameters" in facts:
        parts.append(f"{facts['parameters']:,} parameters")
    if "wall" in facts:
        parts.append(f"fitted on {facts['wall']}")
    return ", ".join(parts)


def ledger(
    results: Annotated[Path, typer.Option(help="Folder with the result files of the claims.")] = Path(
        "docs/results"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail where the ledger is out of date.")
    ] = False,
) -> None:
    """Write the ledger of claims from the result files.

    Examples:

    - `bowerbird ledger --results docs/results`
    """
    from bowerbird.evaluate.ledger import gather_claims, ledger_text, write_ledger
    from bowerbird.tables.errors import ConfigError

    if not results.is_dir():
        raise ConfigError(f"there is no folder {results}; experiments write their result files there")
    page = results / "ledger.md"
    if not check:
        say(f"{page}: {write_ledger(results)} claims")
        return
    wanted = ledger_text(gather_claims(results))
    if not page.exists() or page.read_text(encoding="utf-8") != wanted:
        raise ConfigError(f"{page} does not say what the result files say; run `bowerbird ledger`")
    say(f"{page} is up to date")


def _seeds(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of whole numbers such as 0,1,2", param_hint="--seeds"
        ) from None
    if min(found) < 0 or len(set(found)) < len(found):
        raise typer.BadParameter("seeds must be 0 or more, each once", param_hint="--seeds")
    return found
