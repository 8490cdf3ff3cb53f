"""Merging two streams of sorted runs without holding either."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bowerbird.graph.building.sorting.runs import Run, merge_duplicates


def merge_sorted(first: Iterator[Run], second: Iterator[Run]) -> Iterator[Run]:
    """The edges of two streams as one stream, equal edges merged.

    Args:
        first, second: Runs with ascending, distinct keys, ascending from run to run.
    """
    one, two = _next(first), _next(second)
    while one is not None and two is not None:
        # Everything up to the smaller of the two last keys has been seen on both sides.
        end = min(one.key[-1], two.key[-1])
        cuts = [int(np.searchsorted(run.key, end, side="right")) for run in (one, two)]
        parts = [run.select(slice(0, cut)) for run, cut in zip((one, two), cuts, strict=True) if cut]
        yield merge_duplicates(parts)
        one = one.select(slice(cuts[0], None)) if cuts[0] < len(one) else _next(first)
        two = two.select(slice(cuts[1], None)) if cuts[1] < len(two) else _next(second)
    for left, rest in ((one, first), (two, second)):
        if left is not None:
            yield left
            yield from rest


def _next(runs: Iterator[Run]) -> Run | None:
    """The next run that holds anything."""
    return next((run for run in runs if len(run)), None)
