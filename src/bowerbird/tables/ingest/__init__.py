"""Ingest: a person's files into a store, by one TOML configuration."""

from bowerbird.tables.ingest.config import IngestConfig, load_config, parse_config
from bowerbird.tables.ingest.guess import guess_config
from bowerbird.tables.ingest.run import IngestStopped, ingest
from bowerbird.tables.ingest.summary import IngestSummary, TableCounts

__all__ = [
    "IngestConfig",
    "IngestStopped",
    "IngestSummary",
    "TableCounts",
    "guess_config",
    "ingest",
    "load_config",
    "parse_config",
]
