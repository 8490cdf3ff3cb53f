"""How fast data come in and answers go out: sections of the results page."""

from __future__ import annotations

from typing import Any


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


def cost(found: dict[str, Any]) -> str:
    """What reading a history once saves."""
    machine = found["machine"]
    lines = [
        f"## One encoding for retrieval and ranking, products by {found.get('products', 'MKL')}",
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


def ladder(found: dict[str, Any]) -> str:
    """The ranking pass, one thing more a rung."""
    shape, config = found["shape"], found["config"]
    lines = [
        f"## Ranking pass, rung by rung, {found['device']}",
        "",
        f"Commit `{found['commit']}`. {shape['candidates']} candidates against {shape['history']} events, "
        f"{config['layers']} layers of width {config['width']}, batches of {shape['batch']}, {found['rounds']} rounds "
        "in which the rungs take turns. A `+` keeps what is above it, but for the kernel of attention: SDPA where "
        "FlexAttention is not named. Cosine: the least of any candidate's state with that of the first rung.",
        "",
        "| rung | ms, median [quartiles] | p90 ms | against the first | cosine | made ready in, s |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["rungs"]:
        times = f"{_quartiles(row['ms'], 2)} | {row['p90_ms']:.2f} | x{_quartiles(row['over_first'], 2)}"
        lines.append(
            f"| {row['name']} | {times} | {row['least_cosine']:.5f} | {row['prepared_s']:.1f} |"
        )
    return "\n".join(lines) + "\n"
