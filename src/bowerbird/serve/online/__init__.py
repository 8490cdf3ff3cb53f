"""The online history: events posted to a running server, durable when acknowledged, exported into the store later."""

from bowerbird.serve.online.errors import EventError, OnlineError
from bowerbird.serve.online.events import Health, OnlineEvent, Receipt, StoredEvent, Tail, Version
from bowerbird.serve.online.history import OnlineHistory

__all__ = [
    "EventError",
    "Health",
    "OnlineError",
    "OnlineEvent",
    "OnlineHistory",
    "Receipt",
    "StoredEvent",
    "Tail",
    "Version",
]
