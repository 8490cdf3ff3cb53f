"""The `bowerbird` command: its groups, and how an error reaches a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bowerbird.cli.commands import asking, data, demo, graph, keys, learning, online, publish, serving
from bowerbird.cli.show import say_error

_HELP = """
Tables in, recommendations out.

**A first look:** `bowerbird demo`

**Your own data:**

    bowerbird init events.csv items.csv -o bowerbird.toml
    bowerbird ingest bowerbird.toml --store store
    bowerbird fit unipinrec --store store --out model
    bowerbird evaluate model --store store
    bowerbird serve --artifact model --store store
"""


class Commands(TyperGroup):
    """The command group; turns an error into one message and an exit code.

    2 for what a person can put right, 1 for what should not have happened, 130 for an interruption.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click"):
                raise  # wrong usage and early exits are theirs to tell
            if ctx.params.get("debug") or os.environ.get("BOWERBIRD_DEBUG"):
                raise
            raise typer.Exit(_explain(error)) from error


def _explain(error: Exception) -> int:
    from bowerbird.tables.errors import BowerbirdError

    if isinstance(error, BowerbirdError):
        say_error(str(error))
        return 2
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        say_error(f"{place}{error.strerror or error}")
        return 2
    if isinstance(error, MemoryError):
        say_error("out of memory; use a smaller size, or a machine with more")
        return 2
    say_error(
        f"this should not have happened: {type(error).__name__}: {error}\n"
        "  Fix: run the command again with --debug and report what it prints"
    )
    return 1


app = typer.Typer(
    cls=Commands, help=_HELP, no_args_is_help=True, rich_markup_mode="markdown", add_completion=False,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        import bowerbird

        typer.echo(f"bowerbird {bowerbird.__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before a command."""


_PANELS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Data": (data.init, data.ingest, data.dataset, data.simulate),
    "Models": (learning.fit, learning.evaluate, learning.emit, learning.ledger),
    "Releases": (publish.publish, publish.releases, publish.rollback, publish.verify),
    "Answers": (asking.recommend, asking.similar, serving.serve, demo.demo),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(online.commands, name="online", rich_help_panel="Data")
app.add_typer(graph.commands, name="graph", rich_help_panel="Data")
app.add_typer(keys.commands, name="keys", rich_help_panel="Answers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. `--debug` is understood anywhere on the line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in given:
        given = ["--debug", *(word for word in given if word != "--debug")]
    app(given, prog_name="bowerbird")


if __name__ == "__main__":
    main()
