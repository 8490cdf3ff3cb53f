"""LightGCN: user and item vectors smoothed over the user-item graph, and nothing else (He et al. 2020).

Shapes: B cases or pairs, U users, I items, N = U + I, D factors, K layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline, interactions, profile_matrix
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    import torch


class LightGCN(Baseline):
    """The mean of K + 1 smoothings of learned vectors, trained to rank what a user acted on above what they did not.

    A user without training events is the sum of their items' vectors.

    Args:
        factors: D.
        layers: K.
        regularization: squared norm of the vectors of a batch.
        learning_rate: of Adam.
        epochs: passes over the interactions.
        batch_size: pairs of a step.
        negatives: uniform items against each positive, in a softmax; 1 is the paper's pairwise loss (BPR). On
            citeulike-a a thousand are worth a third more recall than 64.
        seed: of vectors and sampling.
    """

    name = "LightGCN"
    random = True
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "layers": (2, 3),
        "regularization": (1e-3, 1e-2, 1e-1),
        "negatives": (1, 1024),
    }

    def __init__(
        self,
        *,
        factors: int = 64,
        layers: int = 2,
        regularization: float = 1e-4,
        learning_rate: float = 5e-3,
        epochs: int = 60,
        batch_size: int = 8192,
        negatives: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if min(factors, layers, epochs, batch_size, negatives) < 1 or regularization < 0:
            raise ConfigError(
                "LightGCN needs factors, layers, epochs, batch_size and negatives of at least 1, regularization of 0"
            )
        self.factors, self.layers, self.regularization = factors, layers, regularization
        self.learning_rate, self.epochs, self.batch_size = learning_rate, epochs, batch_size
        self.negatives, self.seed = negatives, seed
        loss = "pairwise loss" if negatives == 1 else f"softmax over {negatives} negatives"
        self.note = f"{factors} factors, {layers} layers, {loss}, {epochs} epochs"

    def _fit(self, log: Positives) -> None:
        import torch

        matrix = interactions(log).tocoo()
        user, item = (torch.from_numpy(side.astype(np.int64)) for side in matrix.coords)
        n_users, n_items = log.n_users, log.n_items
        rng = torch.Generator().manual_seed(self.seed)
        table = torch.empty(n_users + n_items, self.factors).normal_(std=0.1, generator=rng).requires_grad_()
        smooth = _smoothing(user, item, n_users, n_items)
        adam = torch.optim.Adam([table], lr=self.learning_rate)
        for _ in range(self.epochs if len(user) else 0):
            order = torch.randperm(len(user), generator=rng)
            for low in range(0, len(user), self.batch_size):
                rows = order[low : low + self.batch_size]
                loss = self._loss(table, smooth, user[rows], item[rows] + n_users, n_users, n_items, rng)
                adam.zero_grad()
                loss.backward()
                adam.step()
        with torch.no_grad():
            final = _smoothed(table, smooth, self.layers).numpy()
        self._users, self._items = final[:n_users], final[n_users:]
        self._trained = log.count > 0
        self._seen = log.item_count > 0

    def _loss(
        self, table: torch.Tensor, smooth: torch.Tensor, user: torch.Tensor, item: torch.Tensor, n_users: int,
        n_items: int, rng: torch.Generator,
    ) -> torch.Tensor:  # fmt: skip
        import torch

        final = _smoothed(table, smooth, self.layers)
        other = torch.randint(n_items, (self.negatives,), generator=rng) + n_users
        if self.negatives == 1:
            other = torch.randint(n_items, (len(user),), generator=rng) + n_users
            wrong = (final[user] * final[other]).sum(-1)
            fit = torch.nn.functional.softplus(wrong - (final[user] * final[item]).sum(-1)).mean()
        else:
            right = (final[user] * final[item]).sum(-1, keepdim=True)
            logits = torch.cat([right, final[user] @ final[other].T], dim=1)
            fit = (torch.logsumexp(logits, dim=1) - logits[:, 0]).mean()
        norm = table[user].square().sum(-1).mean() + table[item].square().sum(-1).mean()
        return fit + self.regularization * norm

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        users = self._users[cases.user].copy()
        strangers = ~self._trained[cases.user]
        if strangers.any():
            users[strangers] = profile_matrix(cases.subset(strangers)) @ self._items
        scores: NDArray[np.floating[Any]] = users @ self._items.T
        scores[:, ~self._seen] = -np.inf
        return scores


def _smoothing(user: torch.Tensor, item: torch.Tensor, n_users: int, n_items: int) -> torch.Tensor:
    """The symmetrically normalised adjacency matrix, sparse (N, N)."""
    import warnings

    import torch

    n = n_users + n_items
    rows, columns = torch.cat([user, item + n_users]), torch.cat([item + n_users, user])
    degree = torch.bincount(rows, minlength=n).clamp(min=1).float()
    weight = (degree[rows] * degree[columns]).rsqrt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls its CSR support a beta
        return (
            torch.sparse_coo_tensor(torch.stack([rows, columns]), weight, (n, n)).coalesce().to_sparse_csr()
        )


def _smoothed(table: torch.Tensor, smooth: torch.Tensor, layers: int) -> torch.Tensor:
    total = layer = table
    for _ in range(layers):
        layer = smooth @ layer
        total = total + layer
    return total / (layers + 1)
