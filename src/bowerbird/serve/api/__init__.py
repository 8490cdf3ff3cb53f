"""The engine on HTTP: routes, typed messages, keys, limits. Nothing here decides what is recommended."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bowerbird.serve.api.app import Load, create_app
    from bowerbird.serve.api.gate import Access
    from bowerbird.serve.api.metrics import Metrics
    from bowerbird.serve.api.ports import EventSink, ReleaseAdmin, ReleaseState

__all__ = ["Access", "EventSink", "Load", "Metrics", "ReleaseAdmin", "ReleaseState", "create_app"]

_HOMES = {
    "Access": "gate", "EventSink": "ports", "Load": "app", "Metrics": "metrics", "ReleaseAdmin": "ports",
    "ReleaseState": "ports", "create_app": "app",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # On first use: making a key (`api.keys`) should not load a web framework and the engine.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
