"""The arms that the serving benchmark compares give the same answers: what differs is what they cost."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from serving.arms import Clicks, agreement, compare, engines, second_request  # noqa: E402
from serving.world import config_of, make_store, untrained  # noqa: E402


def test_arms_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(config_of("s"), width=32, heads=2, item_dim=16, id_dim=16, content_dim=16, history_length=24)
    store = make_store(tmp_path / "store", items=300, users=40, history=24, seed=0)
    with engines(store, untrained(store, config, 0), tmp_path, 1 << 20) as made:
        found = agreement(made, range(6))
        assert found["equal_places"] == 1.0 and found["largest_score_difference"] < 1e-4
        kept = made["kept across stages and requests"]
        clicks = Clicks(kept, 300, 0)
        assert set(second_request(kept, clicks, [30, 31])["first_to_later"]) == {"0 new", "1 new", "5 new"}
        rows = compare(
            made, clicks, regulars=6, strangers=iter(range(10, 30)), rounds=2, block=4, returning=0.5, batch=2, seed=0
        )
        assert {row["requests"] for row in rows.values()} == {8}
        assert agreement(made, range(6))["equal_places"] == 1.0, "also after clicks"
