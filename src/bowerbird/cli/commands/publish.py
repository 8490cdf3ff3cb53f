"""Commands about releases: publish, releases, rollback, verify."""

from __future__ import annotations

import json as json_module
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bowerbird.cli.options import ArtifactOption, JsonOption, StoreOption
from bowerbird.cli.show import out, print_json, say, say_error

if TYPE_CHECKING:
    from bowerbird.serve.releases import Release, Releases
    from bowerbird.tables.store import Store

RootOption = Annotated[
    Path | None,
    typer.Option(
        envvar="BOWERBIRD_ROOT", help="Folder whose releases/ is meant; that of the store when left out."
    ),
]
_METRICS_SHOWN = ("ndcg@10", "hit_rate@10", "recall@10")


def publish(
    artifact: ArtifactOption = Path("model"),
    store: StoreOption = Path("store"),
    root: RootOption = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of its report; the metrics in it are kept with the release.")
    ] = None,
    note: Annotated[str, typer.Option(help="A word for the list of releases.")] = "",
    activate: Annotated[
        bool, typer.Option("--activate/--no-activate", help="Serve it from now on, or only keep it ready.")
    ] = True,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove older releases beyond so many; what is served stays.")
    ] = None,
) -> None:
    """Make a release from a fitted model: an immutable folder that servers open and swap to.

    The index is built now. The same model and state of the store are the same release. Prints its id.

    Examples:

    - `bowerbird publish --artifact model --store store`
    - `bowerbird publish --artifact model --report report --note "more layers" --keep 5`
    """
    from bowerbird.serve.releases import Releases
    from bowerbird.serve.releases import publish as publish_release
    from bowerbird.tables.store import Store

    metrics = None if report is None else _reported(report)
    opened = Store.open(store)
    release = publish_release(artifact, opened, root or store, metrics=metrics, note=note, activate=activate)
    releases = Releases(root or store)
    out().print(release.id, markup=False)
    say(f"{release.path}: {release.learner}, {'active' if activate else 'not active yet'}")
    for gone in releases.prune(keep) if keep is not None else []:
        say(f"removed {gone}")
    if not activate:
        say(f"next: bowerbird rollback --to {release.id} --store {store}")


def releases(
    store: StoreOption = Path("store"),
    root: RootOption = None,
    history: Annotated[bool, typer.Option("--history", help="What was active when, instead.")] = False,
    json: JsonOption = False,
) -> None:
    """List the releases: the active one, when each was made, what it reached.

    Examples:

    - `bowerbird releases --store store`
    - `bowerbird releases --history`
    """
    from rich.table import Table
    from rich.text import Text

    from bowerbird.serve.releases import Releases

    found = Releases(root or store)
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    if history:
        lines = found.history()
        columns = ("#", "when", "what", "release")
        rows = [(str(e["sequence"]), _time(e["since"]), e["action"], e["id"]) for e in lines]
        if json:
            print_json(lines)
            return
    else:
        active = found.pointer.read()
        listed = [_entry(found, id, active is not None and active.id == id) for id in found.ids()]
        columns = ("", "release", "made", "learner", "reached", "note")
        rows = [
            ("*" if e["active"] else "", e["id"], e["made"], e["learner"], e["reached"], e["note"])
            for e in listed
        ]
        if json:
            print_json([{k: v for k, v in entry.items() if k != "reached"} for entry in listed])
            return
    if not rows:
        say(f"no releases in {found.folder}; make one with `bowerbird publish`")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out().print(table)


def rollback(
    store: StoreOption = Path("store"),
    root: RootOption = None,
    to: Annotated[
        str | None, typer.Option("--to", help="This release; the one active before when left out.")
    ] = None,
) -> None:
    """Serve the release that was active before, or any other; running servers follow. Prints its id.

    Every byte is checked first; what is active stays active when the other is damaged or does not fit the store.

    Examples:

    - `bowerbird rollback --store store`
    - `bowerbird rollback --to 20260131T101530123-8a4588d4ee`
    """
    from bowerbird.serve.releases import Releases

    found, opened = Releases(root or store), _store(store)
    release = found.rollback(store=opened) if to is None else found.activate(to, store=opened)
    out().print(release.id, markup=False)
    say(f"active: {release.path}")


def verify(
    id: Annotated[str | None, typer.Argument(help="A release; the active one when left out.")] = None,
    store: StoreOption = Path("store"),
    root: RootOption = None,
    every: Annotated[bool, typer.Option("--all", help="All releases.")] = False,
) -> None:
    """Compare every byte of a release with its hashes, and the release with the store.

    Examples:

    - `bowerbird verify --store store`
    - `bowerbird verify --all`
    """
    from bowerbird.serve.releases import ReleaseError, Releases

    found, opened = Releases(root or store), _store(store)
    wanted = found.ids() if every else [id] if id is not None else []
    if not wanted:
        active = found.active()
        if active is None:
            raise ReleaseError(f"no release is active in {found.folder}; make one with `bowerbird publish`")
        wanted = [active.id]
    bad = 0
    for each in wanted:
        try:
            release = found.verify(each, opened)
        except ReleaseError as error:
            say_error(str(error))
            bad += 1
            continue
        fits = "fits the store" if opened is not None else "no store to compare it with"
        out().print(f"{each}: {len(release.files)} files as they were made, {fits}", markup=False)
    if bad:
        raise typer.Exit(2)


def _store(path: Path) -> Store | None:
    """The store where there is one: going back must also work beside a root that was copied alone."""
    from bowerbird.tables.store import Store

    return Store.open(path) if (path / "manifest.json").exists() else None


def _entry(releases: Releases, id: str, active: bool) -> dict[str, Any]:
    from bowerbird.serve.releases import ReleaseError

    try:
        found: Release = releases.get(id)
    except ReleaseError as error:
        return {"id": id, "active": active, "made": "", "learner": "", "reached": "", "note": str(error)}
    reached = [
        f"{name} {found.metrics[name]:.4f}" for name in _METRICS_SHOWN if _is_number(found.metrics.get(name))
    ]
    return {
        "id": id, "active": active, "made": _time(found.created), "learner": found.learner,
        "reached": ", ".join(reached), "note": found.note, "metrics": dict(found.metrics), "data": dict(found.data),
    }  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _reported(folder: Path) -> dict[str, float]:
    """The means of the first model of a saved report that is no baseline."""
    from bowerbird.tables.errors import ConfigError

    path = folder / "report.json"
    try:
        blocks = json_module.loads(path.read_bytes())["blocks"]
        results = next(block["results"] for block in blocks if block["type"] == "comparison")
        model = next(result for result in results if not result["is_baseline"])
        return {name: float(estimate["mean"]) for name, estimate in model["metrics"].items()}
    except FileNotFoundError:
        raise ConfigError(f"there is no report in {folder}; make one with `bowerbird evaluate`") from None
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise ConfigError(f"{path} is not a report with a model in it ({error}); evaluate again") from None
