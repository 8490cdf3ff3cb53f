"""Readers: files in, batches of rows out, with bounded memory."""

from bowerbird.tables.ingest.readers.batch import BrokenRow, RawBatch, Reader
from bowerbird.tables.ingest.readers.files import SourceFile, find_files, format_of

__all__ = ["BrokenRow", "RawBatch", "Reader", "SourceFile", "find_files", "format_of"]
