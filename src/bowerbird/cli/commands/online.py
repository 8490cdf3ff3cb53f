"""Commands about the online history: what was posted to a running server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bowerbird.cli.options import JsonOption, StoreOption
from bowerbird.cli.show import print_json, say

commands = typer.Typer(
    help="Events posted to a running server.", no_args_is_help=True, rich_markup_mode="markdown"
)

OnlineOption = Annotated[
    str,
    typer.Option(
        "--online",
        envvar="BOWERBIRD_ONLINE",
        help="The online history: the path of a SQLite file, or postgresql://user@host/database.",
    ),
]
ONLINE = "online.sqlite"


@commands.callback()
def about() -> None:
    """Events posted to a running server."""


@commands.command()
def export(
    online: OnlineOption = ONLINE, store: StoreOption = Path("store"), json: JsonOption = False
) -> None:
    """Add to a store what was posted to the server, for the next training.

    The server may go on running. Running it again changes nothing, and neither does being interrupted: every event
    reaches the store once.

    Examples:

    - `bowerbird online export --online online.sqlite --store store`
    - `bowerbird online export --online postgresql://bowerbird@localhost/events --store store`
    """
    from bowerbird.serve.online import OnlineHistory
    from bowerbird.serve.online.export import append_to_store
    from bowerbird.tables.store import Store

    with OnlineHistory.for_store(online, Store.open(store), create=False) as history:
        done = append_to_store(history, store)
    if json:
        print_json(asdict(done))
    elif done.events:
        say(
            f"{store}: {done.events:,} events, {done.accepted:,} new, {done.duplicates:,} there already; "
            f"generation {done.generation}"
        )
    else:
        say(f"{store} has everything that was posted (up to number {done.high_water:,})")
