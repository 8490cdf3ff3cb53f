"""The engine on HTTP: routes, typed messages, limits. Nothing here decides what is recommended."""

from bowerbird.serve.api.app import create_app

__all__ = ["create_app"]
