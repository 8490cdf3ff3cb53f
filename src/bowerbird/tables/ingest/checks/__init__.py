"""Checks: raw columns in, stored values and rejected rows out. Good rows are never looped over."""

from bowerbird.tables.ingest.checks.batches import Rejected, SourceChecker

__all__ = ["Rejected", "SourceChecker"]
