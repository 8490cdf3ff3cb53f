"""Ingest throughput and memory: N simulated events as one Parquet file (or CSV, or JSON lines) into a store.

Each ingest runs in a process of its own, so that its peak memory is its own. The generator is a plain vectorised one
(Zipf items, log-normal activity of users, three surfaces, four kinds of action, slates of ten), made for load only.

    python benchmarks/ingest.py --events 20000000

Wall time says little on a busy machine (`load_average` is kept with each case); processor time says more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

RESULT = Path(__file__).resolve().parent.parent / "docs" / "results" / "ingest.json"
START = 1_600_000_000_000
YEAR = 365 * 86_400_000
COLUMNS = {
    "user_id": "user",
    "item_id": "item",
    "timestamp": {"column": "time", "unit": "ms"},
    "surface": "surface",
    "request_id": "request",
    "position": "position",
    "actions": {"column": "action", "separator": "|"},
}


def generate(path: Path, events: int, *, text_ids: bool, seed: int = 0) -> None:
    """Writes `events` events in random order of users and increasing time."""
    rng = np.random.default_rng(seed)
    users, items = max(10, events // 40), max(10, events // 100)
    slates = -(-events // 10)
    activity = rng.lognormal(sigma=1.2, size=users)
    user = rng.choice(users, size=slates, p=activity / activity.sum()).repeat(10)[:events]
    item = (rng.zipf(1.2, events) - 1) % items
    surface = rng.choice(np.array(["home", "search", "related"]), size=slates, p=[0.7, 0.2, 0.1]).repeat(10)[
        :events
    ]
    names = np.array(["", "click", "click|save", "hide"])
    frame = pl.DataFrame(
        {
            "user": user,
            "item": item,
            "time": (START + np.sort(rng.integers(0, YEAR, slates))).repeat(10)[:events],
            "surface": surface,
            "request": np.arange(slates).repeat(10)[:events],
            "position": np.tile(np.arange(10), slates)[:events],
            "action": rng.choice(names, size=events, p=[0.85, 0.1, 0.04, 0.01]),
        }
    )
    if text_ids:
        frame = frame.with_columns(
            pl.format("user-{}", "user").alias("user"), pl.format("item-{}", "item").alias("item")
        )
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_ndjson(path)


def run_ingest(folder: Path, file: str) -> None:
    """One ingest in this process; prints its summary as JSON."""
    from bowerbird.tables.ingest import ingest, parse_config

    config = parse_config(
        {
            "dataset": "load",
            "events": {"files": file, "columns": COLUMNS},
            "items": {"files": "items.parquet", "columns": {"item_id": "item"}},
        },
        folder=folder,
    )
    print(json.dumps(ingest(config, folder / "store").to_dict()))


def measure(folder: Path, file: str) -> dict[str, float]:
    """Wall and processor time, and peak memory, of an ingest in a new process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, __file__, "--ingest", str(folder), file]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    summary = json.loads(output)
    events = summary["tables"]["events"]
    return {
        "events_read": events["read"],
        "events_accepted": events["accepted"],
        "events_duplicate": events["duplicates"],
        "seconds": round(wall, 2),
        "processor_seconds": round(processor, 2),
        "events_per_second": round(events["read"] / wall),
        "events_per_processor_second": round(events["read"] / processor),
        "peak_rss_mib": round(summary["peak_memory"] / 2**20),
    }


def make(path: Path, events: int, *, text_ids: bool, seed: int = 0) -> None:
    """Generates a file in a process of its own: on Linux a child's peak memory starts at what its parent held."""
    command = [sys.executable, __file__, "--generate", str(path), str(events), str(int(text_ids)), str(seed)]
    subprocess.run(command, check=True)


def case(work: Path, events: int, kind: str, *, text_ids: bool) -> dict[str, object]:
    """Ingest, the same ingest again, and an append of one percent more."""
    folder = work / f"{kind}-{'text' if text_ids else 'integer'}"
    folder.mkdir()
    file = f"events.{kind}"
    make(folder / file, events, text_ids=text_ids)
    items = pl.DataFrame({"item": ["item-0"] if text_ids else [0]})
    items.write_parquet(folder / "items.parquet")
    more = max(10, events // 100)
    make(folder / f"more.{kind}", more, text_ids=text_ids, seed=1)
    first = measure(folder, file)
    store = sum(path.stat().st_size for path in (folder / "store").rglob("*") if path.is_file())
    found: dict[str, object] = {
        "format": kind,
        "ids": "text" if text_ids else "integers",
        "events": events,
        "file_mib": round((folder / file).stat().st_size / 2**20),
        "store_mib": round(store / 2**20),
        "first": first,
        "again": measure(folder, file),
        "one_percent_more": measure(folder, f"more.{kind}"),
        "load_average": round(os.getloadavg()[1], 1),
    }
    shutil.rmtree(folder)
    print(json.dumps(found, indent=1))
    return found


def main() -> None:
    """Runs the cases and writes `docs/results/ingest.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000_000, help="events of the Parquet cases")
    parser.add_argument(
        "--text-events", type=int, default=2_000_000, help="events of the CSV and JSONL cases"
    )
    parser.add_argument("--out", type=Path, default=RESULT, help="where the figures go")
    parser.add_argument(
        "--work", type=Path, default=None, help="folder for the files (about 4 GiB for 20 M events)"
    )
    parser.add_argument("--ingest", nargs=2, metavar=("FOLDER", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--generate", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        path, events, text_ids, seed = arguments.generate
        generate(Path(path), int(events), text_ids=bool(int(text_ids)), seed=int(seed))
        return
    if arguments.ingest:
        run_ingest(Path(arguments.ingest[0]), arguments.ingest[1])
        return
    with tempfile.TemporaryDirectory(dir=arguments.work) as temporary:
        work = Path(temporary)
        cases = [
            case(work, arguments.events, "parquet", text_ids=False),
            case(work, arguments.events, "parquet", text_ids=True),
            case(work, arguments.text_events, "csv", text_ids=True),
            case(work, arguments.text_events, "jsonl", text_ids=True),
        ]
    result = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "cases": cases,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
