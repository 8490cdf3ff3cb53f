"""All releases of one place: which there are, which is active, opening one, going back, cleaning up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bowerbird.serve.releases.pointer import Active, Pointer, following, remove_folder
from bowerbird.serve.releases.release import INDEX, MODEL, Release, ReleaseError, checked_id
from bowerbird.serve.releases.verification import require_fit, require_whole
from bowerbird.tables.atomic import TEMPORARY, sync_folder
from bowerbird.tables.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from bowerbird.index import Index
    from bowerbird.learn.artifact import Artifact
    from bowerbird.serve.generators.opening import Indexed
    from bowerbird.tables.store import Store

_ATTEMPTS = 10


@dataclass(frozen=True)
class OpenedRelease:
    """A release in memory, checked against a store.

    Attributes:
        release: What is known about it.
        artifact: Its model.
        index: Its index, memory-mapped.
        store: The store it was checked against and will answer from.
    """

    release: Release
    artifact: Artifact
    index: Index
    store: Store

    @property
    def id(self) -> str:
        """Name of the release."""
        return self.release.id

    @property
    def learner(self) -> str:
        """Registry name of the learner of its model."""
        return self.release.learner

    @property
    def metrics(self) -> dict[str, Any]:
        """What its model reached."""
        return dict(self.release.metrics)

    def generator(self, *, pool_bytes: int | None = None) -> Indexed:
        """The model with its index, ready to be asked; answers carry the release's id.

        Where the store grew since the release was made, the rows of the index that are not those of today (new items,
        changed content, the trend) are replaced in memory; the files stay as they are.

        Args:
            pool_bytes: Most memory for encoded histories; None = as usual.

        Raises:
            BowerbirdError: The model does not fit its settings, or the store's features.
        """
        from bowerbird.serve.generators.opening import generator_of

        return generator_of(self.artifact, self.store, self.id, index=self.index, pool_bytes=pool_bytes)


class Releases:
    """The releases under a root folder. Every method reads the disk anew, so several processes can share it.

    Args:
        root: The folder that has `releases/` in it, usually the store's. It need not exist yet.
    """

    def __init__(self, root: Path | str) -> None:
        self.folder = Path(root) / "releases"
        self.pointer = Pointer(self.folder)

    # -- what there is ------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """Names of all releases, damaged ones included, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and path.name[0] != ".")

    def all(self) -> list[Release]:
        """The releases whose `release.json` can be read, oldest first."""
        return [release for release in (self._readable(id) for id in self.ids()) if release is not None]

    def get(self, id: str) -> Release:
        """What is known about a release; its files are not looked at.

        Raises:
            ReleaseError: It does not exist, or its `release.json` is damaged or too new.
        """
        if not (self.folder / checked_id(id)).is_dir():
            hint = did_you_mean(id, self.ids())
            raise ReleaseError(f"there is no release {id!r} in {self.folder}; {hint}")
        return Release.read(self.folder / id)

    def active(self) -> Release | None:
        """The release that servers serve; None where none was activated yet.

        Raises:
            ReleaseError: The pointer or the release it names is damaged or missing.
        """
        found = self.pointer.read()
        return None if found is None else self.get(found.id)

    def history(self) -> list[dict[str, Any]]:
        """All activations and rollbacks, oldest first: sequence, action, id, since (ms UTC)."""
        return self.pointer.history()

    # -- checking and opening -----------------------------------------------------------------------------

    def verify(self, id: str, store: Store | None = None) -> Release:
        """Compares every byte of a release with its hashes, and the release with a store.

        Raises:
            ReleaseError: Naming the damaged files, or why it does not fit.
        """
        release = self.get(id)
        require_whole(release, full=True)
        if store is not None:
            require_fit(release, store)
        return release

    def open(self, id: str, store: Store, *, verify: bool = False) -> OpenedRelease:
        """Opens a release for serving.

        Args:
            id: Its name.
            store: What it will answer from: the store it was published from, or one grown from it.
            verify: Compare the content of every file. Otherwise that of the model and of small files, and the sizes of
                the others.

        Raises:
            ReleaseError: It is missing, damaged, or does not fit the store or this program.
        """
        from bowerbird.index import Index
        from bowerbird.learn.artifact import Artifact
        from bowerbird.learn.registry import learner
        from bowerbird.learn.settings import from_dict
        from bowerbird.tables.errors import BowerbirdError

        release = self.get(id)
        require_whole(release, full=verify)
        require_fit(release, store)
        try:
            artifact = Artifact.load(release.path / MODEL)
            from_dict(learner(release.learner).config_class, artifact.config, where=release.learner)
            index = Index.open(release.path / INDEX, verify=False)
        except BowerbirdError as error:
            raise ReleaseError(
                f"release {id} cannot be opened by this version of Bowerbird: {error}\n"
                "  Fix: fit and publish the model again with this version, or use the one that published it "
                f"({release.version})"
            ) from error
        return OpenedRelease(release, artifact, index, store)

    # -- changing what is active --------------------------------------------------------------------------

    def activate(self, id: str, *, store: Store | None = None) -> Release:
        """Makes a release the one that servers serve, once every byte of it was found right.

        Activating the active release again tells servers that refused it to look again.

        Args:
            id: Its name.
            store: Refuse here already what this store could not serve.

        Raises:
            ReleaseError: It is missing, damaged or does not fit; what was active stays active.
        """
        release = self.verify(id, store)

        def decide(now: Active | None) -> Active:
            if not release.path.is_dir():
                raise ReleaseError(f"release {id} was removed while it was being activated; choose another")
            return following(now, id, "activate", _now(), self._next_sequence(now))

        self.pointer.move(decide)
        return release

    def rollback(self, *, store: Store | None = None) -> Release:
        """Makes the release active that was so before the active one; rolling back again goes further back.

        Args:
            store: Refuse here already what this store could not serve.

        Raises:
            ReleaseError: Nothing was active before, or that release is damaged or does not fit; what is active stays
                active.
        """
        for _ in range(_ATTEMPTS):
            seen = self.pointer.read()
            back = self._earlier(seen)
            if seen is None or not back:
                raise ReleaseError(
                    "there is nothing to go back to: no release was active before.\n"
                    "  Fix: choose one: bowerbird rollback --to ID (`bowerbird releases` lists them)"
                )
            release = self.verify(back[-1], store)
            try:
                self.pointer.move(partial(self._back, seen=seen, id=release.id))
            except _OvertakenError:
                continue
            return release
        raise ReleaseError("other processes keep changing what is active; try again")

    def _back(self, now: Active | None, *, seen: Active, id: str) -> Active:
        if now != seen or not (self.folder / id).is_dir():
            raise _OvertakenError
        return following(now, id, "rollback", _now(), self._next_sequence(now))

    def _earlier(self, active: Active | None) -> list[str]:
        """What can be gone back to, the next one last."""
        before = () if active is None else active.before
        return [id for id in before if active and id != active.id and (self.folder / id).is_dir()]

    def _next_sequence(self, now: Active | None) -> int:
        return max(0 if now is None else now.sequence, self.pointer.last_sequence()) + 1

    # -- cleaning up --------------------------------------------------------------------------------------

    def prune(self, keep: int) -> list[str]:
        """Removes the oldest releases; never the active one nor the one a rollback would go to.

        A server that has a removed release open goes on serving it: its mapped files live until it lets go of them.

        Args:
            keep: How many of the newest stay, at least 1.

        Returns:
            Names of those removed, oldest first.

        Raises:
            ConfigError: `keep` is below 1.
            ReleaseError: The pointer is damaged, so that it is unknown what must stay.
        """
        if keep < 1:
            raise ConfigError(f"keep must be at least 1, got {keep}")
        aside: list[Path] = []
        with self.pointer.locked():
            active = self.pointer.read()
            held = {*self._earlier(active)[-1:], *([] if active is None else [active.id])}
            gone = [id for id in self.ids()[:-keep] if id not in held]
            for id in gone:
                aside.append(self.folder / f"{TEMPORARY}gone-{id}")
                (self.folder / id).rename(aside[-1])
            if gone:
                sync_folder(self.folder)
        for folder in aside:
            remove_folder(folder)
        return gone

    def _readable(self, id: str) -> Release | None:
        try:
            return self.get(id)
        except ReleaseError:
            return None


class _OvertakenError(Exception):
    """Another process moved the pointer between looking and going back."""


def _now() -> int:
    return time.time_ns() // 1_000_000
