"""The contract every system keeps: tables in through a view, an artifact out, signals for the others.

A new system is one package with a :class:`Learner` and one line in :mod:`bowerbird.learn.registry`; the
command line, the contract tests, releases and reports then work for it unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar, runtime_checkable

from bowerbird.learn.settings import from_dict, preset
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.learn.artifact import Artifact
    from bowerbird.learn.run import Run
    from bowerbird.learn.signals import Signal
    from bowerbird.tables.view import View

C = TypeVar("C")


@runtime_checkable
class Evaluation(Protocol):
    """What ``evaluate`` hands back: anything that can say itself as plain JSON values."""

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts, lists, strings, numbers, booleans and ``None`` only."""
        ...


class Learner(ABC, Generic[C]):
    """One system: how it learns from a view, is measured, and tells the other systems what it knows.

    Class attributes:
        name: the key in the registry and in artifacts, e.g. ``"pinrec"``.
        config_class: the configuration dataclass (see :mod:`bowerbird.learn.settings`).

    Args:
        config: the settings; the preset of size ``s`` when left out.

    Raises:
        ConfigError: if ``config`` is of another class.
    """

    name: ClassVar[str]
    config_class: ClassVar[type]

    def __init__(self, config: C | None = None) -> None:
        if config is None:
            config = preset(self.config_class)
        if not isinstance(config, self.config_class):
            raise ConfigError(
                f"{self.name} needs a {self.config_class.__name__}, got {type(config).__name__}; "
                "build it with settings.resolve or the class itself"
            )
        self.config: C = config

    @classmethod
    def from_artifact(cls, artifact: Artifact) -> Self:
        """The learner with the settings an artifact was fitted with.

        Raises:
            ConfigError: if the artifact belongs to another learner or its settings are not understood.
        """
        if artifact.learner != cls.name:
            raise ConfigError(f"this artifact was made by {artifact.learner!r}, not by {cls.name!r}")
        return cls(from_dict(cls.config_class, artifact.config, where=cls.name))

    @abstractmethod
    def fit(self, view: View, *, valid: View | None = None, run: Run | None = None) -> Artifact:
        """Learn from what ``view`` shows.

        Args:
            view: everything visible to training.
            valid: a later view; the rows it shows beyond ``view`` drive early stopping. ``None``: no early
                stopping.
            run: seed, device, folder and progress; a quiet run without a folder when left out.

        Returns:
            The fitted learner. Equal view, settings and seed give equal tensors on the same CPU.
        """

    @abstractmethod
    def evaluate(
        self,
        artifact: Artifact,
        view: View,
        *,
        since: View,
        run: Run | None = None,
        seeds: Sequence[Artifact] = (),
    ) -> Evaluation:
        """Measure an artifact.

        Args:
            artifact: the fitted learner.
            view: the targets are the rows this view shows and ``since`` does not; histories also come from
                it, each ending before its target.
            since: the earlier view.
            run: seed, device and progress.
            seeds: the same model fitted with other seeds; all of them are measured as one.

        Returns:
            An object with ``to_dict()``.
        """

    @abstractmethod
    def emit(self, artifact: Artifact, view: View, *, run: Run | None = None) -> Iterator[Signal]:
        """The signals other systems read, with raw ids, using only what ``view`` shows.

        Args:
            artifact: the fitted learner.
            view: what it looks at.
            run: progress, and a folder where a learner may keep what it made, so that a stopped call goes on and a
                later one makes only what changed.
        """
