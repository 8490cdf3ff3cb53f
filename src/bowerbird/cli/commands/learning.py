"""Commands about models: fit, evaluate, ledger."""

from __future__ import annotations

from collections.abc import Sequence
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

    The part of the log that was kept back when a model was fitted is found again from the model itself. One model
    fitted with several seeds gives one report with intervals over seeds; different models give one each, in folders of
    their names.

    Examples:

    - `bowerbird evaluate model --store store --report report`
    - `bowerbird evaluate models/seed-0 models/seed-1 models/seed-2 --store store`
    """
    from bowerbird.learn.run import Run
    from bowerbird.tables.store import Store

    opened = Store.open(store)
    models = _by_model(artifacts)
    for same in models:
        folder = report if len(models) == 1 else report / same[0].name
        report_on(same, opened, folder, Run(device=device))
        show_saved(folder)
        say(f"report: {folder / 'report.html'}")


def _by_model(artifacts: Sequence[Path]) -> list[list[Path]]:
    """The folders gathered by what was fitted: artifacts that differ in their seed alone belong together."""
    from bowerbird.learn.artifact import Artifact

    found: dict[str, list[Path]] = {}
    for folder in artifacts:
        artifact = Artifact.load(folder)
        settings = {name: value for name, value in artifact.config.items() if name != "seed"}
        key = repr((artifact.learner, sorted(settings.items()), artifact.facts.get("wall")))
        found.setdefault(key, []).append(folder)
    return list(found.values())


def report_on(artifacts: Sequence[Path], store: Store, folder: Path, run: Run) -> None:
    """Evaluates a fitted model, of one seed or several, and writes `report.html`, `report.json` and `report.txt`."""
    from io import StringIO

    from rich.console import Console

    from bowerbird.evaluate.report import Report
    from bowerbird.learn.artifact import Artifact
    from bowerbird.learn.registry import learner as learner_class
    from bowerbird.tables.atomic import write_atomic
    from bowerbird.tables.errors import ConfigError

    found, *seeds = (Artifact.load(artifact) for artifact in artifacts)
    views = split_of(store, found)
    model = learner_class(found.learner).from_artifact(found)
    report = model.evaluate(found, views.test, since=views.valid, run=run, seeds=seeds)
    if not isinstance(report, Report):
        raise ConfigError(f"{found.learner} is not measured by a report; see its own documentation")
    report.save(folder)
    text = StringIO()
    report.print(Console(file=text, width=_WIDTH, color_system=None, force_terminal=False))
    write_atomic(folder / "report.txt", text.getvalue().encode())


def show_saved(folder: Path) -> None:
    """Prints the table of a report that was written before."""
    out().print((folder / "report.txt").read_text(), markup=False, soft_wrap=True)


def emit(
    artifact: Annotated[Path, typer.Argument(help="Folder of a fitted model.")],
    store: StoreOption = Path("store"),
    release: Annotated[
        str | None, typer.Option(help="Name of what is written; left out: the name of the folder.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="From all of the log, not only the part it was fitted on.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder kept between calls: a stopped call goes on, a later one embeds only what changed (omnisage)."
        ),
    ] = None,
) -> None:
    """Write a model's signals into the store: vectors of items, collections and users for other models to read.

    They are made from the part of the log that the model was fitted on, so that models fitted on the same part may
    learn from them (`--set item_signals=NAME/RELEASE`). For serving, make them from everything.

    Examples:

    - `bowerbird emit omnisage --store store`
    - `bowerbird fit pinrec --store store --set 'item_signals=["omnisage_items/omnisage"]'`
    - `bowerbird emit omnisage --store store --everything --release today --work vectors`
    """
    from bowerbird.learn.artifact import Artifact
    from bowerbird.learn.registry import learner as learner_class
    from bowerbird.learn.run import Run
    from bowerbird.learn.signals import write_signal
    from bowerbird.tables.store import Store
    from bowerbird.tables.view import View

    opened, found = Store.open(store), Artifact.load(artifact)
    whole = View(opened)
    view = whole if everything or found.facts.get("wall") == whole.wall else split_of(opened, found).train
    for signal in learner_class(found.learner).from_artifact(found).emit(found, view, run=Run(work)):
        folder = write_signal(store, signal, release or artifact.resolve().name)
        size = "" if signal.vectors is None else f" of {signal.vectors.shape[1]}"
        say(f"{folder}: {len(signal):,} {signal.entity} vectors{size}, {view.wall}")


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
