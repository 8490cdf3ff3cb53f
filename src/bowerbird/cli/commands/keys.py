"""The key commands: make, list and revoke API keys. A running server follows at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bowerbird.cli.options import JsonOption, StoreOption
from bowerbird.cli.show import out, print_json, say

if TYPE_CHECKING:
    from bowerbird.serve.api.keys import KeyFile, KeyRecord

KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys", envvar="BOWERBIRD_KEYS", help="File of the API keys; left out: keys.json beside the store."
    ),
]

commands = typer.Typer(
    help="Keys for the API of a server.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)


def key_file(keys: Path | None, store: Path) -> KeyFile:
    """The file of the keys: the one named, else `keys.json` beside the store, where it outlives a rebuilt store."""
    from bowerbird.serve.api.keys import KeyFile

    return KeyFile(store.resolve().parent / "keys.json" if keys is None else keys)


@commands.command()
def create(
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it opens: read (ask), write (post events), admin (releases). Repeat for several."
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "unnamed",
    store: StoreOption = Path("store"),
    keys: KeysOption = None,
) -> None:
    """Make a key. It is printed this once; what is kept is a hash.

    Examples:

    - `bowerbird keys create --name shop --scope read`
    - `bowerbird keys create --name collector --scope write --keys /etc/bowerbird/keys.json`
    """
    file = key_file(keys, store)
    key = file.create(name, scope or ["read"])  # type: ignore[arg-type]  # the file checks the words
    typer.echo(key.text)
    say(f"key {key.id} ({name}: {', '.join(scope or ['read'])}) in {file.path}; it will not be shown again")


@commands.command("list")
def list_keys(store: StoreOption = Path("store"), keys: KeysOption = None, json: JsonOption = False) -> None:
    """List the keys: ids, names, scopes. Their secrets are nowhere."""
    records = key_file(keys, store).read()
    if json:
        print_json([_plain(record) for record in records])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("id", "name", "scopes", "made"):
        table.add_column(column, overflow="fold")
    for record in records:
        entry = _plain(record)
        table.add_row(record.id, Text(record.name), ", ".join(record.scopes), str(entry["created"]))
    out().print(table)


@commands.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Id of the key: the middle part of bb_ID_SECRET.")],
    store: StoreOption = Path("store"),
    keys: KeysOption = None,
) -> None:
    """Revoke a key: a running server refuses it from the next request on.

    Examples:

    - `bowerbird keys revoke k7m2qx9w4c`
    """
    record = key_file(keys, store).revoke(id)
    say(f"key {record.id} ({record.name}) is revoked")


def _plain(record: KeyRecord) -> dict[str, object]:
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created / 1000))
    return {"id": record.id, "name": record.name, "scopes": list(record.scopes), "created": made}
