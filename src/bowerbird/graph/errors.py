"""Errors a person can cause with a graph."""

from __future__ import annotations

from bowerbird.tables.errors import BowerbirdError


class GraphError(BowerbirdError):
    """A graph is missing, cut short, written by a newer program, or asked for something it does not hold."""


class EdgesRejectedError(GraphError):
    """Too many edges were rejected while building; no graph was written (an older one is untouched)."""
