"""What the engine needs of the place where posted events are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from bowerbird.serve.request import RawId

if TYPE_CHECKING:
    from bowerbird.serve.online.events import OnlineEvent, Receipt, Tail, Version
    from bowerbird.tables.store import Store


class History(Protocol):
    """Events posted after the store was built. `serve.online.OnlineHistory` is one."""

    def append(self, posted: Sequence[OnlineEvent]) -> Receipt:
        """Keeps events; when it returns they are durable, and every read that starts then sees them."""
        ...

    def version(self, user: RawId) -> Version:
        """How far a user's events are; cheap, asked at every request."""
        ...

    def read(self, user: RawId, limit: int, *, after: int = 0) -> Tail:
        """The newest events of a user numbered above `after`, oldest first, with their version."""
        ...

    def exported(self, store: Store) -> int:
        """Up to which number a store has the events already."""
        ...
