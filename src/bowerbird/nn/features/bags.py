"""Bags of ids, one a row, kept flat: gathering some rows and averaging what their ids stand for.

Shapes: R rows, X flat ids.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def bag_means(ids_X: Tensor, offsets: Tensor, rows_R: Tensor, weight: Tensor) -> Tensor:
    """Mean of the table rows of each bag, float (R, width); an empty bag is the zero vector.

    Args:
        ids_X: int32 flat ids of all bags. offsets: int64, where each bag begins, and the end.
        rows_R: int64, the bags asked for.
        weight: (ids, width), the table.
    """
    starts, counts = offsets[rows_R], offsets[rows_R + 1] - offsets[rows_R]
    first = counts.cumsum(0) - counts
    total = int(counts.sum())
    index = torch.repeat_interleave(starts - first, counts, output_size=total)
    index += torch.arange(total, device=rows_R.device)
    ids: Tensor = ids_X[index]
    return F.embedding_bag(ids, weight, first.to(ids.dtype), mode="mean")
