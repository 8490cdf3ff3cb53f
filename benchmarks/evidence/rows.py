"""One claim as a row: what was tested, the ratio with its interval, and the status that follows from it."""

from __future__ import annotations


def claim(
    id: str,
    claim: str,
    paper: str,
    test: str,
    ratio: object,
    *,
    better: bool = True,
    parity: bool = False,
    extra: dict | None = None,
) -> dict:
    """One row: status follows from the interval of the ratio; ``parity`` asks for one inside 0.98 to 1.02."""
    interval = ratio.to_dict()
    low, high = interval["low"], interval["high"]
    if low is None or high is None:
        status = "inconclusive"
    elif parity:
        inside, outside = low > 0.98 and high < 1.02, high < 0.98 or low > 1.02
        status = "reproduced" if inside else "not reproduced" if outside else "inconclusive"
    elif (low > 1) if better else (high < 1):
        status = "reproduced"
    elif (high < 1) if better else (low > 1):
        status = "not reproduced"
    else:
        status = "inconclusive"
    return {
        "id": id, "paper": "PinRec", "claim": claim, "paper_number": paper, "test": test,
        "ratio": interval, "status": status, **(extra or {}),
    }  # fmt: skip


def ledger_row(row: dict, where: str = "simulated platform") -> dict:
    """What the ledger shows of a row; ``where`` names the data."""
    ratio = row["ratio"]
    bounds = "" if ratio["low"] is None else f"{ratio['low']:.3f} to {ratio['high']:.3f}"
    result = "not measured" if ratio["mean"] is None else f"ratio {ratio['mean']:.3f}"
    kept = {name: row[name] for name in ("id", "paper", "claim", "paper_number", "status")}
    return {**kept, "test": f"{where}: {row['test']}", "result": result, "interval": bounds}
