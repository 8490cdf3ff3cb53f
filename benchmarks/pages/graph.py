"""OmniSage and its graph: sections of the results page."""

from __future__ import annotations

from typing import Any

from pages.cells import cell


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
        lines += [f"| {name} | {cell(value)} |" for name, value in rows.items()]
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
            f"| {kind} | {name} | {cell(v['without'])} | {cell(v['with'])} |" for name, v in rows.items()
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
