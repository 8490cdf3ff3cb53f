"""The serve command."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from bowerbird.cli.options import ArtifactOption, StoreOption
from bowerbird.cli.show import say


def serve(
    artifact: ArtifactOption = Path("model"),
    store: StoreOption = Path("store"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 open it to the network.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
) -> None:
    """Serve answers over HTTP, and the page that shows them.

    The page is at the printed address, the API under /v1, its description at /openapi.json.

    Examples:

    - `bowerbird serve --artifact model --store store`
    - `bowerbird serve --port 0`
    """
    open_page(artifact, store, host, port)


def open_page(artifact: Path, store: Path, host: str, port: int) -> None:
    """Serves a model and a store until interrupted; the port is taken first, so that a clash shows at once."""
    from bowerbird.serve.api.server import address, listen, run
    from bowerbird.serve.engine import Engine

    found = listen(host, port)
    say(f"opening {artifact} and {store} ...")
    engine = Engine.open(artifact, store)
    engine.warm_up()
    say(f"{engine.about.dataset}, {engine.generator.release}: {address(found)}  (stop with Ctrl-C)")
    with suppress(KeyboardInterrupt):  # the usual way to stop
        run(engine, found)
