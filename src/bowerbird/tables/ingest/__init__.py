"""Ingest: a person's files into a store, by one TOML configuration."""

from bowerbird.tables.ingest.config import IngestConfig, load_config, parse_config
from bowerbird.tables.ingest.guessing import guess_config
from bowerbird.tables.ingest.run import IngestStoppedError, ingest
from bowerbird.tables.ingest.summary import IngestSummary, TableCounts

__all__ = [
    "IngestConfig",
    "IngestStoppedError",
    "IngestSummary",
    "TableCounts",
    "guess_config",
    "ingest",
    "load_config",
    "parse_config",
]
