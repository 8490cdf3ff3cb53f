"""What a server uses to follow the active release: it looks, opens, verifies and tells; it never disturbs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from bowerbird.serve.releases.pointer import Mark
from bowerbird.serve.releases.releases import OpenedRelease, Releases
from bowerbird.tables.errors import BowerbirdError, ConfigError
from bowerbird.tables.store import Store

log = logging.getLogger("bowerbird.serve")


class Watcher:
    """Notices that another release became active, and hands it over opened and verified.

    Looking is one `stat` of a small file. A release that is refused is not tried again until something is activated
    again (the same release counts); what is served stays. Of several activations during one opening the last counts.

    Args:
        releases: Where to look.
        store: Opens the store that the release will answer from; called anew for every release, because a release may
            have been made from a later state than the one that was opened before.
        on_ready: Takes over the opened release, on the watcher's thread. If it raises, the release is refused.
        on_refused: Told why a release is not served, in one sentence for people.
        serving: Name of the release that is served already, if any.
        every: Seconds between looks, above 0.

    Attributes:
        serving: Name of the release that was handed over last.

    Raises:
        ConfigError: `every` is not above 0.
    """

    def __init__(
        self,
        releases: Releases,
        store: Callable[[], Store],
        on_ready: Callable[[OpenedRelease], object],
        on_refused: Callable[[str], object],
        *,
        serving: str | None = None,
        every: float = 1.0,
    ) -> None:
        if not every > 0:
            raise ConfigError(f"a watcher looks every so many seconds, above 0; got {every}")
        self._releases, self._store = releases, store
        self._on_ready, self._on_refused = on_ready, on_refused
        self.serving = serving
        self._every = every
        self._seen: Mark | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Looks at once and then at intervals, on a thread of its own; a second call changes nothing."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._run, name="release-watcher", daemon=True)
            self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Ends the thread; a release that is being opened is not handed over any more.

        Args:
            timeout: Seconds to wait for it at most; None = until it ended.
        """
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None

    def look(self) -> None:
        """One look, on the calling thread. Never raises for what a release, the store or a callback does."""
        while True:
            try:
                mark = self._releases.pointer.mark()
            except OSError:
                log.exception("cannot look for the active release; looking again later")
                return
            if mark == self._seen or self._stopping.is_set():
                return
            self._seen = mark
            try:
                self._follow(mark)
            except BowerbirdError as error:
                self._refuse(str(error))
            except Exception as error:
                log.exception("a release cannot be served")
                self._refuse(f"the active release cannot be served: {type(error).__name__}: {error}")

    def _follow(self, mark: Mark | None) -> None:
        active = self._releases.pointer.read()
        if active is None or active.id == self.serving:
            return
        opened = self._releases.open(active.id, self._store(), verify=True)
        if self._stopping.is_set() or self._releases.pointer.mark() != mark:
            return
        self._on_ready(opened)
        self.serving = opened.id

    def _refuse(self, reason: str) -> None:
        try:
            self._on_refused(reason)
        except Exception:
            log.exception("telling that a release was refused failed: %s", reason)

    def _run(self) -> None:
        self.look()
        while not self._stopping.wait(self._every):
            self.look()
