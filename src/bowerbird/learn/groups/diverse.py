"""Batches of low redundancy: the k-DPP, exact and with known inclusion probabilities, and a greedy shortcut.

Legend: N rows, k rows per draw. E[l, n] is the elementary symmetric polynomial of order l of the first n
eigenvalues. Sources: Kulesza and Taskar, "k-DPPs: fixed-size determinantal point processes" (sampling); Chen,
Zhang and Zhou, "Fast greedy MAP inference for determinantal point process" (greedy).
"""

from __future__ import annotations

import numpy as np

from bowerbird.learn.groups.index import GroupError, GroupIndex, KernelKind
from bowerbird.learn.groups.samplers import Draw, Target, check_size, target_probabilities
from bowerbird.learn.randomness import derived

#: The eigendecomposition is cubic in the rows; beyond this use Systematic or Greedy.
_MOST_ROWS = 5000


class KDPP:
    """Draws of k rows with probability proportional to the determinant of their kernel: similar rows repel.

    Args:
        groups: the rows' groups.
        size: k.
        target: what the weights aim at; they divide by the exact inclusion probabilities.
        level: level of the families (for the balanced target).
        seed: of all draws.
        kind, gamma: the similarity, see :meth:`GroupIndex.kernel`.
        kernel: a positive semi-definite similarity (N, N) to use instead, e.g. cosines of measured gradients.
        ridge: added to the diagonal, so that rows of one leaf can still meet.
        strength: share of draws made by the k-DPP, the others being uniform.

    Raises:
        GroupError: for more than 5000 rows (the cost is cubic).
    """

    def __init__(
        self,
        groups: GroupIndex,
        size: int,
        *,
        target: Target = "natural",
        level: int = 0,
        seed: int = 0,
        kind: KernelKind = "tree",
        gamma: float = 1.0,
        kernel: np.ndarray | None = None,
        ridge: float = 0.1,
        strength: float = 0.5,
    ) -> None:
        check_size(groups, size)
        if len(groups) > _MOST_ROWS:
            raise GroupError(
                f"a k-DPP over {len(groups)} rows is too slow (limit {_MOST_ROWS}); use systematic"
            )
        if not ridge > 0 or not 0 <= strength <= 1:
            raise GroupError("the ridge must be above 0 and the strength within [0, 1]")
        self.size, self._n, self._seed, self._strength = size, len(groups), seed, strength
        similar = groups.kernel(kind, gamma) if kernel is None else kernel
        if similar.shape != (len(groups), len(groups)):
            raise GroupError(f"the kernel has shape {similar.shape}, expected a square of {len(groups)} rows")
        values, self._vectors = np.linalg.eigh(similar + ridge * np.eye(len(groups)))
        self._log_values = np.log(np.maximum(values, 1e-12))
        self._log_forward = _log_polynomials(self._log_values, size)
        self.inclusion = strength * self._exact_inclusion() + (1 - strength) * size / len(groups)
        self._weights = target_probabilities(groups, target, level) / self.inclusion

    def _exact_inclusion(self) -> np.ndarray:
        """The chance of each row to be in a draw: float64 (N,), sums to k.

        Sum over eigenvectors n of v_n^2 times the chance that n is chosen, which is
        value_n * e_{k-1}(all values but n) / e_k; the polynomial without n is joined from those before and
        after it.
        """
        k, n = self.size, self._n
        backward = _log_polynomials(self._log_values[::-1], k)
        chosen = np.empty(n)
        for i in range(n):
            without = self._log_forward[:k, i] + backward[:k, n - 1 - i][::-1]
            chosen[i] = self._log_values[i] + np.logaddexp.reduce(without) - self._log_forward[k, n]
        return (self._vectors**2) @ np.exp(chosen)

    def draw(self, number: int) -> Draw:
        """See :class:`bowerbird.learn.groups.samplers.Sampler`."""
        rng = derived(self._seed, 45, number)
        if rng.random() >= self._strength:
            rows = rng.choice(self._n, self.size, replace=False)
            return Draw(rows, self._weights[rows])
        rows = self._sample_rows(self._vectors[:, self._sample_eigenvectors(rng)], rng)
        return Draw(rows, self._weights[rows])

    def _sample_eigenvectors(self, rng: np.random.Generator) -> list[int]:
        left, chosen = self.size, []
        for n in range(self._n, 0, -1):
            if left == 0:
                break
            chance = self._log_values[n - 1] + self._log_forward[left - 1, n - 1] - self._log_forward[left, n]
            if np.log(rng.random()) < chance:
                chosen.append(n - 1)
                left -= 1
        return chosen

    def _sample_rows(self, basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One row per basis vector, each pick projected out of the rest."""
        rows = np.empty(self.size, dtype=np.int64)
        norms = (basis**2).sum(axis=1)
        picked = np.zeros((self._n, 0))
        for i in range(self.size):
            norms = np.maximum(norms, 0)
            rows[i] = row = int(rng.choice(self._n, p=norms / norms.sum()))
            direction = basis @ basis[row] - picked @ picked[row]
            direction /= np.sqrt(max(direction[row], 1e-300))
            picked = np.column_stack([picked, direction])
            norms = norms - direction**2
            norms[rows[: i + 1]] = 0
        return rows


def _log_polynomials(log_values: np.ndarray, k: int) -> np.ndarray:
    """log E[l, n] for l = 0..k and n = 0..N: (k + 1, N + 1). In logs, as the values themselves overflow."""
    table = np.full((k + 1, len(log_values) + 1), -np.inf)
    table[0] = 0.0
    for n, value in enumerate(log_values, start=1):
        table[1:, n] = np.logaddexp(table[1:, n - 1], value + table[:-1, n - 1])
    return table


class Greedy:
    """From a random first row, always the row that adds most volume: diverse, cheap, and biased.

    Its weights are equal and it has no known inclusion probabilities, so it estimates neither target: use it
    where a batch only has to be varied (choosing examples to show or to label), not for gradients of a stated
    objective.

    Args:
        groups: the rows' groups.
        size: rows per draw.
        seed: of all draws.
        kind, gamma: the similarity, see :meth:`GroupIndex.kernel`.
    """

    def __init__(
        self, groups: GroupIndex, size: int, *, seed: int = 0, kind: KernelKind = "tree", gamma: float = 1.0
    ) -> None:
        check_size(groups, size)
        self.size, self._groups, self._seed = size, groups, seed
        self._kind, self._gamma = kind, gamma

    def draw(self, number: int) -> Draw:
        """See :class:`bowerbird.learn.groups.samplers.Sampler`."""
        rng = derived(self._seed, 46, number)
        n = len(self._groups)
        tie_break = rng.random(n) * 1e-9
        gain = np.ones(n)
        basis = np.zeros((self.size, n))
        rows: list[int] = []
        row = int(rng.integers(n))
        for i in range(self.size):
            rows.append(row)
            if i + 1 == self.size:
                break
            similar = self._groups.similarities(row, self._kind, self._gamma)
            basis[i] = (similar - basis[:i, row] @ basis[:i]) / np.sqrt(max(gain[row], 1e-12))
            gain = gain - basis[i] ** 2
            open_gain = np.maximum(gain, 0) + tie_break
            open_gain[rows] = -1.0
            row = int(np.argmax(open_gain))
        return Draw(np.array(rows, dtype=np.int64), np.full(self.size, 1 / self.size))
