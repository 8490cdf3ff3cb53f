"""Whether vectors still tell nodes apart: mean pairwise cosine and effective rank (part C, fault 12).

Shapes: B nodes, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def collapse_figures(vectors_BD: Tensor) -> dict[str, Tensor]:
    """Figures of a random sample of unit vectors.

    Returns:
        ``mean_cosine``, 0-d: over all pairs of different rows; 1 when collapsed, near 0 when spread.
        ``effective_rank``, 0-d: exp of the entropy of the normalised eigenvalues of the second-moment matrix (Roy and
        Vetterli 2007); 1 when collapsed, at most D.
    """
    x = vectors_BD.detach().double()
    n = max(len(x), 2)
    total = x.sum(0)
    cosine = (total @ total - (x * x).sum()) / (n * (n - 1))
    eigenvalues = torch.linalg.eigvalsh(x.T @ x).clamp(min=0)
    share = eigenvalues / eigenvalues.sum().clamp(min=1e-12)
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return {"mean_cosine": cosine, "effective_rank": entropy.exp()}
