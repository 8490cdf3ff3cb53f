"""``docs/results/index.md`` and ``docs/results/ledger.md`` from the JSON files beside them.

python benchmarks/summary.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bowerbird.evaluate.ledger import write_ledger
from pages import graph, recommend, serving
from results import FOLDER

HEAD = """# Results

Made by `python benchmarks/summary.py` from the JSON files in this folder, each of which holds settings, seeds, commit,
data hash and every interval. `python -m benchmarks` lists the commands. Full catalogue everywhere, no sampled
candidates; items a user already acted on are left out for every model alike; 95 % bootstrap intervals over users (and
seeds, where several). Claims of the paper, one by one: [ledger](ledger.md).
"""

SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "pinrec_beauty": recommend.quality,
    "pinrec_sports": recommend.quality,
    "pinrec_globo": recommend.quality,
    "pinrec_movielens": recommend.quality,
    "pinrec_beibei": recommend.quality,
    "claims_unipinrec_simulated": recommend.slates,
    "claims_unipinrec_simulated_1m": recommend.slates,
    "claims_unipinrec_movielens": recommend.slates,
    "claims_unipinrec_movielens_rankers": recommend.slates,
    "claims_unipinrec_truth": recommend.truth,
    "throughput": recommend.throughput,
    "latency": serving.latency,
    "ingest": serving.ingest,
    "serving_cost": serving.cost,
    "serving_cost_mkl": serving.cost,
    "ladder_cuda": serving.ladder,
    "ladder_cpu": serving.ladder,
    "load_100000": serving.load,
    "load_1000000": serving.load,
    "faults": serving.faults,
    "claims_omnisage_floors": graph.floors,
    "omnisage_downstream": graph.downstream,
    "omnisage_refresh": graph.refresh,
    "graph_sampler": graph.sampler,
    "graph_build": graph.build,
}


def main(folder: Path = FOLDER) -> None:
    """Write both pages."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        path = folder / f"{name}.json"
        if path.exists():
            parts.append(section(orjson.loads(path.read_bytes())))
    (folder / "index.md").write_text("\n".join(parts), encoding="utf-8")
    write_ledger(folder, folder / "ledger.md")


if __name__ == "__main__":
    main()
