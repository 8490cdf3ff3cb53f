"""Ingest: a person's files into a store, by one TOML configuration.

What happens to each kind of row and file:

| found | rule |
|---|---|
| an id, time, number or list of the wrong kind | row rejected; see `checks.values` and `bowerbird.tables.times` |
| an empty id or time | row rejected |
| the same event again (every column equal, in this file or in the store) | counted as duplicate, the first stays |
| the same item, user or clip again | the last row wins, the others count as duplicates |
| the same row of another table again | counted as duplicate |
| an action that is not declared | `[actions] unknown`: added, rejected, or the action is ignored |
| an event of an item without a row | kept; the item is known without features, and counted |
| a line with the wrong number of fields, broken JSON, bytes that are not UTF-8 | row rejected, with its line number |
| a line longer than `max_line_bytes` | row rejected; it is never held in memory |
| a quote that is never closed | its line is rejected, the lines behind it are read |
| a blank line | no row |
| an empty file | noted; an error where every file of the table is empty |
| a mapped column that is not in a file | error that names the columns there are (in JSONL: required columns only) |
| a key that first appears after the first lines of a JSONL file | read where it is mapped, else no feature |
| a file that was ingested before with the same settings | skipped |

Rejected rows are written to `store/rejected/<generation>.jsonl` with table, file, line, column, value and reason. For
every table `read = accepted + duplicates + rejected`. More than `max_rejected_share` rejected rows stop the ingest;
the store is then what it was before, and the report is `store/rejected/stopped.jsonl`.
"""

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
