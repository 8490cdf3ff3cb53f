"""What PinRec and UniPinRec find and how they order it: sections of the results page."""

from __future__ import annotations

from typing import Any

from pages.cells import cell


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
            shown = [cell(cells[name]) for name in ("slate_auc", "hit@3", "log_loss", "calibration")]
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
        *(f"| {name} | {cell(value)} |" for name, value in found["values"].items()),
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
        cells = [cell(row["metrics"][name]) for name in shown]
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
            f"| {row} | " + " | ".join(cell(cells[column], 2) for column in block["columns"]) + " |"
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
