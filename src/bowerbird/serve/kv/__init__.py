"""Encoded histories kept between requests, so that a returning user costs only the new events."""

from bowerbird.serve.kv.pool import KVPool, SlotShape
from bowerbird.serve.kv.reader import HistoryReader, Reading

__all__ = ["HistoryReader", "KVPool", "Reading", "SlotShape"]
