"""``docs/results/index.md`` and ``docs/results/ledger.md`` from the JSON files beside them.

python benchmarks/summary.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bowerbird.evaluate.ledger import write_ledger
from results import FOLDER

HEAD = """# Results

Made by `python benchmarks/summary.py` from the JSON files in this folder, each of which holds settings, seeds, commit,
data hash and every interval. `python -m benchmarks` lists the commands. Full catalogue everywhere, no sampled
candidates; items a user already acted on are left out for every model alike; 95 % bootstrap intervals over users (and
seeds, where several). Claims of the paper, one by one: [ledger](ledger.md).
"""


def quality(found: dict[str, Any]) -> str:
    """One section for a data set: every comparison of its report."""
    lines = [f"## {found['data']['dataset']}", ""]
    lines += [
        f"PinRec, {len(found['seeds'])} seeds, {found['threads']} threads; commit `{found['commit']}`. "
        f"{found['split']}",
        "",
        f"- fitted with early stopping: {_training(found['stopped'])}",
        f"- fitted for {found['refitted_epochs']} epochs on everything before the test: {_training(found['refitted'])}",
    ]
    for metric, bar in found["bars"].items():
        for name, reached in bar["reached"].items():
            verdict = "reached" if bar["passed"][name] else "not reached"
            lines.append(f"- bar {metric} >= {bar['bar']}: {name} {reached['mean']:.4f}, {verdict}")
    for block in found["report"]["blocks"]:
        if block["type"] == "comparison":
            lines += ["", *_comparison(block)]
        if block["type"] == "outcome_matrix":
            lines += ["", *_matrix(block)]
    return "\n".join(lines) + "\n"


def _training(runs: dict[str, list[Any]]) -> str:
    seconds = ", ".join(f"{value:.0f}" for value in runs["training_seconds"])
    return f"{seconds} s a seed (other work on the machine), {runs['epochs_run'][0]} epochs"


def slates(found: dict[str, Any]) -> str:
    """How slates are ordered: the arms of UniPinRec and the rankers."""
    table = found["slates"]
    trained = {row["name"] for row in table["results"]} & set(found["arms"])
    beside = ": arms" if len(trained) == len(table["results"]) else ": rankers" if trained == {"joint"} else ""
    lines = [
        f"## Order inside slates, {found['data']['dataset']}{beside}",
        "",
        f"{len(found['seeds'])} seeds; commit `{found['commit']}`. {found['split']}",
        "",
        f"{table['slates']['slates']:,} slates of {table['slates']['users']:,} users, "
        f"{table['slates']['rows']:,} rows.",
    ]
    for action in table["actions"]:
        lines += [
            "",
            f"| {action} | slate AUC | Hit@3 | log loss | calibration |",
            "|---|---|---|---|---|",
        ]
        for row in table["results"]:
            cells = row["metrics"][action]
            shown = [_cell(cells[name]) for name in ("slate_auc", "hit@3", "log_loss", "calibration")]
            lines.append(f"| {row['name']} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def truth(found: dict[str, Any]) -> str:
    """What lists are worth by the truth of the simulated platform."""
    lines = [
        f"## Lists by the truth, {found['data']['dataset']}",
        "",
        f"{len(found['seeds'])} seeds; commit `{found['commit']}`. Each row picks the best 10 of the 30 items that the "
        "joint model retrieves for a request, by value; shown is what its owner would do with them, had they been "
        "looked at: worth x true probability of every action, mean over the list.",
        "",
        "| | true value |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in found["values"].items()),
    ]
    return "\n".join(lines) + "\n"


def cost(found: dict[str, Any]) -> str:
    """What reading a history once saves."""
    machine = found["machine"]
    lines = [
        "## One encoding for retrieval and ranking",
        "",
        f"{machine['cores']} cores, {machine['threads']} threads; commit `{found['commit']}`. {found['protocol']}",
        "",
        "| ranking pass, cached against dense | ratio, median [quartiles] | target 0.9 (n + k) / k | by arithmetic |",
        "|---|---|---|---|",
    ]
    for row in found["ranking_pass"]:
        numbers = f"{row['target']:.2f} | {row['ratio_by_arithmetic']:.2f}"
        lines.append(f"| {row['name']} | {_quartiles(row['ratio'], 2)} | {numbers} |")
    lines += [
        "",
        "| through the engine | requests/s | against two models | p50 ms | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for batches, arms in found["engine"].items():
        for name, arm in arms.items():
            against = arm.get("against_two_models")
            ratio = "" if against is None else f"{_quartiles(against['requests_per_second'], 2)} x"
            speed = arm["requests_per_second"]["median"]
            lines.append(
                f"| {name}, {batches} | {speed:.1f} | {ratio} | {arm['p50_ms']:.1f} | {arm['p99_ms']:.1f} |"
            )
    lines += ["", "| a returning user's events since | encode time, first against later |", "|---|---|"]
    for name, ratio in found["second_request"]["first_to_later"].items():
        lines.append(f"| {name} | {_quartiles(ratio, 1)} |")
    return "\n".join(lines) + "\n"


def _quartiles(found: dict[str, float], digits: int) -> str:
    return f"{found['median']:.{digits}f} [{found['q25']:.{digits}f}, {found['q75']:.{digits}f}]"


def load(found: dict[str, Any]) -> str:
    """What the server holds."""
    half, events, machine = found["half"], found["events"], found["machine"]
    latency = half["latency_ms"]
    stages = ", ".join(f"{name} {share:.0%}" for name, share in half["stage_share"].items())
    lines = [
        f"## Load, {found['name'].partition('_')[2]} items",
        "",
        f"{machine['cores']} cores shared by server and client; commit `{found['commit']}`. {found['protocol']}",
        "",
        f"- highest rate that holds: {found['highest_rate']:.1f} requests/s",
        f"- at {half['rate']:.2f}/s: p50 {latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms, "
        f"p99 {latency['p99']:.0f} ms, {half['errors']} errors in {half['requests']} requests",
        f"- share of the time by stage: {stages}",
        f"- from a posted event to a changed answer: p99 {events['event_to_changed_answer_ms']['p99']:.0f} ms",
    ]
    return "\n".join(lines) + "\n"


def faults(found: dict[str, Any]) -> str:
    """What kill -9 did to posted events."""
    lines = ["## Posted events under kill -9", "", f"Commit `{found['commit']}`.", ""]
    plain = {
        k: v for k, v in found.items() if isinstance(v, int | float | str) and k not in ("name", "commit")
    }
    lines += [
        "| | |",
        "|---|---|",
        *(f"| {key.replace('_', ' ')} | {value} |" for key, value in plain.items()),
    ]
    return "\n".join(lines) + "\n"


def _comparison(block: dict[str, Any]) -> list[str]:
    wanted = ("hit_rate@10", "ndcg@10", "hit_rate@20", "recall@20")
    shown = [name for name in wanted if name in block["results"][0]["metrics"]]
    cases = block["cases"]
    lines = [
        f"**{block['title']}**: {cases['cases']:,} cases of {cases['users']:,} users, {cases['targets']:,} targets "
        f"({cases['cold_targets']:,} cold), {cases['items']:,} items.",
        "",
        "| model | " + " | ".join(shown) + " | unique items |",
        "|---|" + "---|" * (len(shown) + 1),
    ]
    for row in block["results"]:
        cells = [_cell(row["metrics"][name]) for name in shown]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + f" | {row['lists']['coverage']:.3f} |")
    return lines


def _matrix(block: dict[str, Any]) -> list[str]:
    lines = [
        f"**{block['title']}**: lift of {block['metric']} over the unconditioned vector; rows are what was asked for.",
        "",
        "| asked for | " + " | ".join(f"{c} ({block['share'][c]:.2f})" for c in block["columns"]) + " |",
        "|---|" + "---|" * len(block["columns"]),
    ]
    for row, cells in block["lift"].items():
        lines.append(
            f"| {row} | " + " | ".join(_cell(cells[column], 2) for column in block["columns"]) + " |"
        )
    return lines


def throughput(found: dict[str, Any]) -> str:
    """Training against RecTools."""
    lines = [
        "## Training throughput against RecTools",
        "",
        f"Commit `{found['commit']}`. {found['protocol']}",
        "",
        "| ratio of loss positions, median [min, max] | per second | per processor second |",
        "|---|---|---|",
    ]
    for name, ratio in found["ratios"].items():
        cells = [ratio[kind] for kind in ("examples_per_second", "examples_per_cpu_second")]
        shown = [f"{cell['median']:.1f} [{cell['min']:.1f}, {cell['max']:.1f}]" for cell in cells]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    lines += ["", *(f"- {line}" for line in found["differences"])]
    return "\n".join(lines) + "\n"


def ingest(found: dict[str, Any]) -> str:
    """Ingest speed and memory."""
    lines = [
        "## Ingest",
        "",
        f"{found['cores']} cores, polars {found['polars']}; each case in a process of its own, start-up included.",
        "",
        "| input | events | events/s | events per processor second | peak memory, MiB | store, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        first = case["first"]
        cells = [case["events"], first["events_per_second"], first["events_per_processor_second"]]
        cells += [first["peak_rss_mib"], case["store_mib"]]
        lines.append(
            f"| {case['format']}, {case['ids']} ids | " + " | ".join(f"{cell:,}" for cell in cells) + " |"
        )
    return "\n".join(lines) + "\n"


def latency(found: dict[str, Any]) -> str:
    """Latency of one recommendation by catalogue size."""
    lines = [
        "## Latency of one recommendation",
        "",
        f"Commit `{found['commit']}`. {found['protocol']}",
        "",
        "| items | vectors laid out | index | query vectors | p50 ms | p99 ms | processor time p50 / p99 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for catalogue in found["catalogues"]:
        for asked, stages in catalogue["latency_ms"].items():
            total, processor = stages["total"], stages["total_cpu"]
            lines.append(
                f"| {catalogue['items']:,} | {catalogue['vectors']} | {catalogue['index']['kind']} | {asked} | "
                f"{total['p50']:.1f} | {total['p99']:.1f} | {processor['p50']:.1f} / {processor['p99']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def floors(found: dict[str, Any]) -> str:
    """OmniSage beside what must stand in every table."""
    lines = [
        f"## OmniSage on {found['data']['dataset']}",
        "",
        f"{len(found['seeds'])} seeds; commit `{found['commit']}`. {found['split']} Floors are tuned on the validation "
        "part and fitted on the same data; OmniSage is fitted for a fixed number of steps.",
    ]
    for where, rows in found["tables"].items():
        if "ranked" not in where:
            continue
        lines += ["", f"**{where}**", "", "| | recall@20 |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(lines) + "\n"


def downstream(found: dict[str, Any]) -> str:
    """Recommenders with OmniSage vectors against without."""
    lines = [
        "## What OmniSage vectors do downstream",
        "",
        f"citeulike-a, {len(found['seeds'])} seeds; commit `{found['commit']}`. recall@20 of everything kept after the "
        "wall; the ratios with their intervals are rows of the ledger.",
        "",
        "| articles | | without | with |",
        "|---|---|---|---|",
    ]
    for kind, rows in found["values"].items():
        lines += [
            f"| {kind} | {name} | {_cell(v['without'])} | {_cell(v['with'])} |" for name, v in rows.items()
        ]
    return "\n".join(lines) + "\n"


def refresh(found: dict[str, Any]) -> str:
    """What a refresh embeds again."""
    lines = [
        "## Refresh of OmniSage vectors",
        "",
        f"Commit `{found['commit']}`. The last {found['share']:.0%} of the events of a store arrive. Time is that of "
        "embedding alone, against embedding everything; neighbourhoods are sampled anew in both. Vectors that were "
        "embedded again or kept differ from a full pass by less than 10^-6.",
        "",
        "| store | neighbourhoods | nodes | with an edge of their own | embedded again | time against full |",
        "|---|---|---|---|---|---|",
    ]
    for case in found["stores"]:
        for kind in ("item", "collection"):
            if kind in case:
                row = case[kind]
                lines.append(
                    f"| {case['dataset']} | {case['setting']} | {row['nodes']:,} {kind}s | "
                    f"{row['with_new_edges']:.1%} | {row['share']:.1%} | {row['time_ratio']:.2f} |"
                )
    return "\n".join(lines) + "\n"


def sampler(found: dict[str, Any]) -> str:
    """Sources a second at the wanted overlap, by size of the graph."""
    wanted = found["config"]["wanted_overlap"]
    lines = [
        "## Neighbours by random walk with restart",
        "",
        f"{found['machine']['cores']} cores; commit `{found['commit']}`. {found['protocol']} Shown is the smallest "
        f"budget that reaches {wanted:.0%}, else the best one tried.",
        "",
        "| edges | nodes | method | budget | overlap | sources/s | a processor second |",
        "|---|---|---|---|---|---|---|",
    ]
    for size in found["sizes"]:
        for method in dict.fromkeys(row["method"] for row in size["methods"]):
            rows = [row for row in size["methods"] if row["method"] == method]
            good = [row for row in rows if row["overlap"]["all"] >= wanted]
            row = good[0] if good else max(rows, key=lambda row: row["overlap"]["all"])
            lines.append(
                f"| {size['edges']:,} | {size['nodes']:,} | {method} | {row['budget']:,} | "
                f"{row['overlap']['all']:.3f} | {row['sources_a_second']:,.1f} | {row['sources_a_cpu_second']:,.1f} |"
            )
    lines += ["", "| edges | built in, s | peak while building, MiB | peak of all, MiB | exact answer, s a source |"]
    lines += ["|---|---|---|---|---|"]
    lines += [
        f"| {size['edges']:,} | {size['build_seconds']:.1f} | {size['build_peak_mib']:,.0f} | "
        f"{size['peak_mib']:,.0f} | {size['exact_seconds_a_source']:.2f} |"
        for size in found["sizes"]
    ]
    return "\n".join(lines) + "\n"


def build(found: dict[str, Any]) -> str:
    """Edges a second and memory of building, extending and merging a graph."""
    lines = [
        "## Building a graph",
        "",
        f"{found['cores']} cores; commit `{found['commit']}`. Each step in a process of its own, whose memory before "
        "the first edge is given too. One percent more edges are appended, then merged. Larger graphs: above.",
        "",
        "| edges | built in, s | edges/s | peak (before), MiB | opened in, ms | appended in, ms | merged in, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        made, opened, appended, merged = (case[step] for step in ("build", "open", "append", "merge"))
        lines.append(
            f"| {case['edges']:,} | {made['seconds']:.2f} | {made['edges_per_second']:,} | "
            f"{made['peak_memory_mib']:,} ({made['before_mib']:,}) | {1e3 * opened['seconds']:.0f} | "
            f"{1e3 * appended['seconds']:.0f} | {merged['seconds']:.2f} |"
        )
    return "\n".join(lines) + "\n"


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "pinrec_beauty": quality,
    "pinrec_sports": quality,
    "pinrec_globo": quality,
    "pinrec_movielens": quality,
    "pinrec_beibei": quality,
    "claims_unipinrec_simulated": slates,
    "claims_unipinrec_movielens": slates,
    "claims_unipinrec_movielens_rankers": slates,
    "claims_unipinrec_truth": truth,
    "throughput": throughput,
    "latency": latency,
    "ingest": ingest,
    "serving_cost": cost,
    "load_100000": load,
    "load_1000000": load,
    "faults": faults,
    "claims_omnisage_floors": floors,
    "omnisage_downstream": downstream,
    "omnisage_refresh": refresh,
    "graph_sampler": sampler,
    "graph_build": build,
}


def _cell(interval: dict[str, Any], digits: int = 4) -> str:
    if interval["mean"] is None:
        return "-"
    if interval["low"] is None:
        return f"{interval['mean']:.{digits}f}"
    return f"{interval['mean']:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"


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
