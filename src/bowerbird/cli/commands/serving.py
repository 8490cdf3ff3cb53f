"""The serve command."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bowerbird.cli.commands.keys import KeysOption, key_file
from bowerbird.cli.commands.publish import RootOption
from bowerbird.cli.options import ArtifactOption, StoreOption
from bowerbird.cli.show import say

if TYPE_CHECKING:
    from bowerbird.serve.api.keys import KeyFile, KeyRing


@dataclass(frozen=True)
class House:
    """What is served.

    Attributes:
        store: Folder of the store.
        artifact: Folder of a fitted model; read where no releases are named.
        releases: Folder whose releases/ holds the releases to follow.
        online: File or URL of the online history; None = `online.sqlite` beside the store; "none" = no events.
        graph: Folder of a graph; None = the folder `graph` inside the store, where there is one.
    """

    store: Path
    artifact: Path
    releases: Path | None = None
    online: str | None = None
    graph: Path | None = None

    @property
    def history(self) -> str | Path | None:
        """Where events are kept."""
        if self.online is None:
            return self.store.resolve().parent / "online.sqlite"
        if self.online == "none":
            return None
        return self.online if "://" in self.online else Path(self.online)


@dataclass(frozen=True)
class Door:
    """Who gets in and what happens at the door.

    Attributes:
        keys: File of the keys; None = `keys.json` beside the store.
        open: Ask for no keys.
        rate: Requests a second of one key.
        timeout: Seconds a request may take.
        drain: Seconds to go on serving after SIGTERM.
        access_log: Log a line for each request.
    """

    keys: Path | None = None
    open: bool = False
    rate: float = 500.0
    timeout: float = 10.0
    drain: float = 0.0
    access_log: bool = False


def serve(
    artifact: ArtifactOption = Path("model"),
    store: StoreOption = Path("store"),
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Serve the active release and every later one, instead of --artifact."),
    ] = False,
    root: RootOption = None,
    online: Annotated[
        str | None,
        typer.Option(
            help="Where posted events are kept: a SQLite file or a postgresql:// URL; left out: online.sqlite beside "
            "the store; none: no events."
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            help="Graph that items' neighbourhoods are read from, as `bowerbird graph build` makes it; left out: the "
            "folder graph inside the store, where there is one."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than 127.0.0.1 open it to the network.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
    keys: KeysOption = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no keys; only on an address others cannot reach.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0.01, help="Requests a second of one key; twice as many at once.")
    ] = 500,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds a request may take.")] = 10.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds to serve on after SIGTERM while /v1/ready says no.")
    ] = 0.0,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log a line for each request.")] = False,
) -> None:
    """Serve answers over HTTP, and the page that shows them.

    The API is under /v1, its description at /openapi.json. It asks for a key: the first start makes one and
    shows it once; `bowerbird keys` makes more. The printed link opens the page with a key of its own, which
    ends with the server.

    Examples:

    - `bowerbird serve --artifact model --store store`
    - `bowerbird serve --follow --store store --graph graph`
    - `bowerbird serve --port 0 --no-auth`
    """
    open_page(
        House(store, artifact, (root or store) if follow else None, online, graph),
        host,
        port,
        Door(keys, no_auth, rate, timeout, drain, access_log),
    )


def open_page(house: House, host: str, port: int, door: Door = Door()) -> None:
    """Serves a model and a store until interrupted; the port is taken first, so that a clash shows at once."""
    from bowerbird.serve.api.app import Load
    from bowerbird.serve.api.gate import Access
    from bowerbird.serve.api.keys import KeyRing
    from bowerbird.serve.api.metrics import Metrics
    from bowerbird.serve.api.server import AddressError, address, is_local, listen, run
    from bowerbird.serve.service import Service
    from bowerbird.serve.traffic import Rates

    found = listen(host, port)
    service: Service | None = None
    try:
        if door.open and not is_local(found):
            raise AddressError(
                f"--no-auth on {host} would let everybody in who can reach this machine; leave it out, or listen on "
                "127.0.0.1"
            )
        file = key_file(door.keys, house.store)
        file.read()  # a damaged file shows now, not at the first request
        say(f"opening {house.releases or house.artifact} and {house.store} ...")
        metrics = Metrics()
        service = Service.open(
            house.store, artifact=house.artifact, releases=house.releases, history=house.history,
            observer=metrics.batcher("model"), graph=house.graph,
        )  # fmt: skip
        ring = None if door.open else KeyRing(file)
        url = address(found)
        say(f"{service.about.dataset}, {service.about.release}: {url}  (stop with Ctrl-C)")
        if ring is not None:
            _show_keys(file, ring, url)
            if not is_local(found):
                say(
                    "others can reach this address, and HTTP is readable on the way: put a TLS proxy in front"
                )
        access = Access(ring, per_key=Rates(door.rate, max(1.0, 2 * door.rate)))
        with suppress(KeyboardInterrupt):  # the usual way to stop
            run(
                service, found, access=access, load=Load(timeout_s=door.timeout), drain_s=door.drain,
                access_log=door.access_log, metrics=metrics, events=service if service.keeps_events else None,
                releases=service if service.follows_releases else None,
            )  # fmt: skip
    finally:
        found.close()
        if service is not None:
            service.close()


def _show_keys(file: KeyFile, ring: KeyRing, url: str) -> None:
    """Secrets are shown to a person at a terminal only: anything else (a pipe, a service manager) is a log."""
    from bowerbird.serve.api.keys import ALL_SCOPES

    if not sys.stderr.isatty():
        if not file.exists():
            say(f"there are no keys yet; make one: bowerbird keys create --keys {file.path}")
        return
    if not file.exists():
        key = file.create("made at the first start", ALL_SCOPES)
        say(f"a key for the API, shown this once (its hash is in {file.path}):\n  {key.text}")
    link = ring.issue("console", ("read", "write"))
    say(f"the page: {url}console/#key={link.text}")
