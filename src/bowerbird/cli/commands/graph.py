"""The graph commands: build it from a store, extend it, look at it, ask who is near."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bowerbird.cli.options import JsonOption, Overwrite, StoreOption
from bowerbird.cli.show import err, out, print_json, say

GraphArgument = Annotated[Path, typer.Argument(help="Folder of the graph.")]

commands = typer.Typer(
    help="The graph of a store: who was saved where, followed by what, made by whom.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


@commands.command()
def build(
    graph: GraphArgument = Path("graph"),
    store: StoreOption = Path("store"),
    before: Annotated[str | None, typer.Option(help="Nothing dated at or past this moment, e.g. 2018-05-01.")] = None,
    prune: Annotated[bool, typer.Option(help="Thin out the edges of hubs as in the OmniSage paper.")] = True,
    seed: Annotated[int, typer.Option(help="Of the pruning.")] = 0,
    overwrite: Overwrite = False,
) -> None:  # fmt: skip
    """Build the graph of a store: collections, consecutive events, users, queries, creators and every kind of link.

    Examples:

    - `bowerbird graph build graph --store store`
    - `bowerbird graph build graph --store store --before 2018-05-01 --no-prune`
    """
    from bowerbird.graph import BuildReport, Pruning, build_graph
    from bowerbird.tables.store import Store
    from bowerbird.tables.view import View

    view = View(Store.open(store), before)
    with err().status("building the graph"):
        made = build_graph(view, graph, pruning=Pruning() if prune else None, seed=seed, overwrite=overwrite)
    report = BuildReport.read_from(made.path)
    say(
        f"{made.n_edges:,} edges of {len(made.relations)} relations in {report.seconds:.1f} s "
        f"({report.edges_per_second:,.0f} a second)"
    )
    if report.rejected:
        say(f"{report.rejected:,} rows cannot be edges; see {made.path / 'rejected.jsonl'}")
    say(f"next: bowerbird graph show {graph}")


@commands.command()
def update(
    graph: GraphArgument = Path("graph"),
    store: StoreOption = Path("store"),
    before: Annotated[
        str | None, typer.Option(help="Nothing dated at or past this moment; left out: all of the log.")
    ] = None,
) -> None:
    """Add what a store has learnt since the graph was built.

    Examples:

    - `bowerbird graph update graph --store store --before 2018-06-01`
    """
    from bowerbird.graph import extend_graph
    from bowerbird.tables.store import Store
    from bowerbird.tables.view import View

    opened = Store.open(store)
    end = (opened.manifest.time_range or (0, 0))[1] + 1
    with err().status("adding new edges"):
        made = extend_graph(graph, View(opened, end if before is None else before))
    say(f"{made.n_edges:,} edges")


@commands.command()
def show(
    graph: GraphArgument = Path("graph"),
    plot: Annotated[Path | None, typer.Option(help="Draw the degrees into this file (.png or .svg).")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte and compare checksums.")] = False,
    json: JsonOption = False,
) -> None:
    """Say what is in a graph: nodes, relations, degrees, what was rejected.

    Examples:

    - `bowerbird graph show graph --plot degrees.png`
    - `bowerbird graph show graph --verify --json`
    """
    from bowerbird.graph import Graph, describe, plot_degrees

    opened = Graph.open(graph)
    if verify:
        opened.verify()
        say("every file is as it was written")
    found = describe(opened)
    if json:
        print_json(found)
    else:
        _table(found)
    if plot is not None:
        plot_degrees(opened, plot)
        say(f"{plot} written")


@commands.command()
def near(
    entity: Annotated[str, typer.Argument(help="Id of an item, or of another type with --type.")],
    graph: Annotated[Path, typer.Option("--graph", help="Folder of the graph.")] = Path("graph"),
    kind: Annotated[str, typer.Option("--type", help="Node type of the id.")] = "item",
    target: Annotated[str, typer.Option("--to", help="Node type to look for.")] = "item",
    relation: Annotated[list[str] | None, typer.Option(help="Walk on this relation only; repeat for several.")] = None,
    k: Annotated[int, typer.Option("-k", help="How many.", min=1, max=1000)] = 10,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """The nodes where a random walk with restart from a node spends most of its time.

    Examples:

    - `bowerbird graph near 318 --graph graph`
    - `bowerbird graph near 318 --to collection -k 5 --relation item-collection`
    """
    import polars as pl

    from bowerbird.graph import Graph, Sampler, Subset
    from bowerbird.tables.errors import ConfigError, did_you_mean

    opened = Graph.open(graph)
    for name in (kind, target):
        if name not in opened.counts:
            raise ConfigError(f"the graph has no nodes of type {name!r}; {did_you_mean(name, opened.counts)}")
    ids = opened.ids(kind)
    place = ids.cast(pl.String).index_of(entity)
    if place is None:
        raise ConfigError(
            f"the graph has no {kind} {entity!r}. Fix: look up an id with `bowerbird graph show --json`"
        )
    asked = relation or list(opened.relations)  # an unknown one is named by the graph, with the nearest known
    walk = tuple(dict.fromkeys(name for one in asked for name in (one, opened.reverse(one))))
    found = Sampler(opened, [Subset("asked", walk, {target: k})]).sample(kind, [place])
    names, rows = opened.ids(target), []
    for node, score, there in zip(found.ids[0][0], found.scores[0][0], found.mask[0][0], strict=True):
        if there:
            rows.append({"id": names[int(node)], "score": round(float(score), 6)})
    if json:
        print_json(rows)
        return
    for row in rows:
        out().print(f"{row['score']:.5f}  {row['id']}", markup=False)
    if not rows:
        say(f"no {target} is connected to {kind} {entity}")


def _table(found: Mapping[str, Any]) -> None:
    """A described graph for people."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("relation", no_wrap=True)
    for name in ("edges", "mean degree", "99 %", "largest", "isolated"):
        table.add_column(name, justify="right")
    for row in found["relations"]:
        table.add_row(
            row["name"],
            f"{row['edges']:,}",
            f"{row['mean']:.1f}",
            f"{row['p99']:.0f}",
            f"{row['largest']:,}",
            f"{row['isolated']:,}",
        )  # fmt: skip
    nodes = ", ".join(f"{count:,} {kind}" for kind, count in found["nodes"].items())
    out().print(f"nodes: {nodes}", markup=False)
    out().print(table)
    wall = found["wall"] or "no wall"
    out().print(f"{found['edges']:,} edges, {found['bytes'] / 2**20:,.1f} MiB, {wall}", markup=False)
    for relation, reasons in found["rejected"].items():
        for reason, count in reasons.items():
            out().print(f"rejected in {relation}: {count:,} ({reason})", markup=False)
