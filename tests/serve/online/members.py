"""What other processes do in ``test_processes``. A script that imports little, so that they start quickly.

python members.py post URL NAME COUNT
python members.py export URL STORE before|after
"""

from __future__ import annotations

import os
import signal
import sys

from bowerbird.serve.online import OnlineEvent, OnlineHistory

ACTIONS = ("click", "save", "hide")
START = 1_700_000_000_000


def post(url: str, name: str, count: str) -> None:
    """Posts events of its own, each together with one that every process posts."""
    with OnlineHistory.open(url, actions=ACTIONS, lock_seconds=30) as history:
        for n in range(int(count)):
            own = OnlineEvent(f"{name}-{n}", "ada", name, START + n)
            shared = OnlineEvent(f"shared-{n}", "ada", "both", START + n)
            assert history.append([own, shared]).conflicts == ()


def export(url: str, store: str, when: str) -> None:
    """Exports, and is killed right before or right after the store's commit."""
    from bowerbird.serve.online.export import append_to_store
    from bowerbird.tables.store import Manifest

    write = Manifest.write

    def deadly(manifest: Manifest, path: object) -> None:
        if when == "after":
            write(manifest, path)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    Manifest.write = deadly  # type: ignore[assignment,method-assign]
    with OnlineHistory.open(url, actions=ACTIONS) as history:
        append_to_store(history, store)


if __name__ == "__main__":
    {"post": post, "export": export}[sys.argv[1]](*sys.argv[2:])
