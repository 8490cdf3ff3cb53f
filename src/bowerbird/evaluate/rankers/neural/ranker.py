"""How a ranking network is trained, stopped and asked: the same for every architecture.

Source: UniPinRec B1 (histories and later slates through the blended reader) and B3 (binary cross-entropy for each
action on the rows of the slate).

Shapes: B slates, K rows, C actions, R rows of all cases.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.evaluate.rankers.base import FittedRanker, tuning
from bowerbird.evaluate.rankers.content import ContentEncoder
from bowerbird.evaluate.rankers.neural.batches import RankBatch, case_batch, training_batch
from bowerbird.evaluate.rankers.neural.items import ItemInputs
from bowerbird.evaluate.slates.calibration import log_loss
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import BlendedExamples, SlateFilter

if TYPE_CHECKING:
    from bowerbird.tables.view import View

_ROWS = 6144
"""Rows scored at once: bounds memory, changes nothing."""

_PARTS = 4
"""Parts of a batch by history length: less padding, the same gradient."""


class NeuralRanker(FittedRanker):
    """A network over a user's last positive events and the rows of a slate, trained by cross-entropy on every action.

    The number of epochs is where the log loss of the tuning slates, averaged over actions, stops falling.

    Args:
        length: history events read.
        dim, width: of item vectors and of hidden states.
        epochs: most epochs.
        patience: stop after so many epochs without a better log loss.
        batch_size: slates of a step.
        rate: learning rate of AdamW.
        decay: weight decay.
        dropout: as named.
        slate_size: of a larger slate so many rows are drawn each epoch.
        keep_empty: share of the slates without any action that an epoch keeps; kept ones weigh the inverse, so
            probabilities stay calibrated.
        device: where the network lives.
    """

    random = True
    _content_of: View

    def __init__(
        self,
        *,
        length: int = 50,
        dim: int = 32,
        width: int = 64,
        epochs: int = 12,
        patience: int = 2,
        batch_size: int = 256,
        rate: float = 2e-3,
        decay: float = 0.05,
        dropout: float = 0.1,
        slate_size: int = 64,
        keep_empty: float = 1.0,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        least = {"length": length, "dim": dim, "width": width, "epochs": epochs, "patience": patience}
        for name, value in (least | {"batch_size": batch_size}).items():
            if value < 1:
                raise ConfigError(f"{self.name}: {name}={value} must be at least 1")
        if width % 4:
            raise ConfigError(f"{self.name}: width={width} must be divisible by its 4 attention heads")
        if not 0 < keep_empty <= 1:
            raise ConfigError(f"{self.name}: keep_empty={keep_empty} must lie above 0 and at most at 1")
        self.length, self.dim, self.width = length, dim, width
        self.epochs, self.patience, self.batch_size = epochs, patience, batch_size
        self.rate, self.decay, self.dropout = rate, decay, dropout
        self.slate_size, self.keep_empty, self.device = slate_size, keep_empty, device

    @abstractmethod
    def network(self, items: ItemInputs, actions: int, surfaces: int) -> nn.Module:
        """A fresh network: `RankBatch` -> logits (B, K, C). It has an attribute `head` with a bias an action."""

    def fit(self, view: View, *, valid: View | None = None, seed: int = 0) -> Self:
        """Train with early stopping; see `FittedRanker.fit`."""
        split = tuning(view, valid)
        self.curve: list[float] = []
        best, best_state, best_epochs = np.inf, {}, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(split.learn)
            trainer = _Trainer(self, split.learn, seed)
            for epoch in range(self.epochs):
                trainer.epoch(epoch)
                loss = self._loss(split.cases)
                self.curve.append(loss)
                if loss < best:
                    best, best_epochs = loss, epoch + 1
                    best_state = copy.deepcopy(self._network.state_dict())
                elif epoch + 1 - best_epochs >= self.patience:
                    break
            if not best_epochs:
                raise ConfigError(f"{self.name} diverged: the log loss was never finite. Fix: lower `rate`.")
            if split.refit:
                torch.manual_seed(seed)
                self._build(view)
                trainer = _Trainer(self, view, seed)
                for epoch in range(best_epochs):
                    trainer.epoch(epoch)
            else:
                self._network.load_state_dict(best_state)
        self.note = f"{best_epochs} epochs"
        return self

    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """Probabilities of all actions."""
        if cases.view is not self._content_of:
            self._items.with_content(self._encoder.encode(cases.view.item_table()))
            self._content_of = cases.view
        self._network.eval()
        scores = np.empty((cases.n_rows, len(cases.action_names)), np.float32)
        done = 0
        with torch.inference_mode():
            for chunk in cases.chunks(_ROWS):
                batch = case_batch(chunk, self.length).to(self.device)
                logits_BKC = batch.labels.new_empty(batch.labels.shape)
                for index, part in batch.by_length(_PARTS):
                    logits_BKC[index] = self._network(part).float()
                found = torch.sigmoid(logits_BKC)[batch.filled]
                scores[done : done + chunk.n_rows] = found.cpu().numpy()
                done += chunk.n_rows
        return scores

    def _loss(self, cases: SlateCases) -> float:
        scores = self.score(cases)
        return float(
            np.mean([log_loss(scores[:, c], cases.labels[:, c]).mean() for c in range(scores.shape[1])])
        )

    def _build(self, view: View) -> None:
        table = view.item_table()
        self._encoder = ContentEncoder.fit(table)
        self._items = ItemInputs(self._encoder, self._encoder.encode(table), view.n_items, self.dim)
        shown = np.bincount(view.events.item, minlength=view.n_items) > 0
        self._items.embedder.unseen.copy_(torch.from_numpy(~shown))
        self._network = self.network(self._items, len(view.actions), len(view.surfaces)).to(self.device)
        self._content_of = view


class _Trainer:
    """Epochs of one network on the slates of one view."""

    def __init__(self, ranker: NeuralRanker, view: View, seed: int) -> None:
        self._ranker, self._actions = ranker, len(view.actions)
        self._examples = BlendedExamples(
            view,
            history_length=ranker.length,
            slate_size=ranker.slate_size,
            batch_size=ranker.batch_size,
            keep_empty=ranker.keep_empty,
            filters=SlateFilter(min_history=0),
            seed=seed,
        )
        network = ranker._network
        _start_at_rates(network, view)
        # Tables of identities and small vectors are not decayed: a rare item would be forgotten between its events.
        decayed = [p for m in network.modules() if isinstance(m, nn.Linear) for p in [m.weight]]
        known = {id(p) for p in decayed}
        rest = [p for p in network.parameters() if id(p) not in known]
        groups = [{"params": decayed, "weight_decay": ranker.decay}, {"params": rest, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, lr=ranker.rate, betas=(0.9, 0.98))

    def epoch(self, epoch: int) -> None:
        """One pass over the slates."""
        network = self._ranker._network
        network.train()
        for blended in self._examples.epoch(epoch):
            batch = training_batch(blended, self._actions).to(self._ranker.device)
            total = (batch.filled * batch.weight[:, None]).sum()
            self._optimiser.zero_grad(set_to_none=True)
            for _, part in batch.by_length(_PARTS):
                (_cross_entropy(network(part), part) / total).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            self._optimiser.step()


def _cross_entropy(logits_BKC: Tensor, batch: RankBatch) -> Tensor:
    """Summed over real rows with their weights, and over actions."""
    loss_BKC = F.binary_cross_entropy_with_logits(logits_BKC, batch.labels, reduction="none")
    weight_BK = batch.filled * batch.weight[:, None]
    return (loss_BKC.sum(dim=-1) * weight_BK).sum()


def _start_at_rates(network: nn.Module, view: View) -> None:
    """Biases at the log-odds of each action, so that no step is spent on learning how rare it is."""
    actions = view.events.actions
    rate = np.array([(actions >> np.uint32(c) & 1).mean() for c in range(len(view.actions))])
    rate = np.clip(rate, 1e-4, 1 - 1e-4)
    with torch.no_grad():
        network.head.bias.copy_(torch.from_numpy(np.log(rate / (1 - rate))))  # type: ignore[union-attr,operator]
