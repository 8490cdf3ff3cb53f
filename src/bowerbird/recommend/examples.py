"""From a view to training batches: windows of positive events, grouped by length, with their prediction targets.

Shapes: B windows, N tokens, P predictions, T targets of a prediction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from bowerbird.learn.randomness import derived
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.inputs.stream import TokenStream
from bowerbird.recommend.targets import Windows, anchors, feed_targets, future_items, next_item, offset_edges
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import HistoryBatch, MentionKind, View

_ORDER, _BUILD = 11, 12


@dataclass(frozen=True)
class Tokens:
    """A padded batch of histories, oldest first.

    Attributes:
        item, time, action, surface: int64 (B, N); time in ms; action and surface are condition codes. Items from
            the number of items on are mentions (see :meth:`bowerbird.tables.view.View.histories`).
        deeds: int64 (B, N), everything done as a mask over the store's actions.
        lengths: int64 (B,).
    """

    item: Tensor
    time: Tensor
    action: Tensor
    deeds: Tensor
    surface: Tensor
    lengths: Tensor

    def rows(self, rows: Tensor) -> Tokens:
        """Some of the histories, in the given order."""
        return Tokens(*(getattr(self, f.name)[rows] for f in fields(self)))

    def to(self, device: torch.device | str) -> Tokens:
        """The same batch on a device."""
        return Tokens(*(getattr(self, f.name).to(device) for f in fields(self)))


@dataclass(frozen=True)
class PinRecBatch:
    """One training batch.

    Attributes:
        tokens: the windows.
        window, position: int64 (P,), anchors.
        action, surface, offset: int64 (P,), condition codes of each prediction, 0 = unspecified.
        time: int64 ms (P,), when the (first) target happened.
        target: int64 (P, T), item ids padded with -1.
        weight: float32 (P,).
    """

    tokens: Tokens
    window: Tensor
    position: Tensor
    action: Tensor
    surface: Tensor
    offset: Tensor
    time: Tensor
    target: Tensor
    weight: Tensor


class PinRecExamples:
    """Training batches of a view (a ``BatchSource``).

    Batches hold windows of similar length (so little padding is computed) and about ``batch_positions`` positions
    with a successor; their order is random in every epoch.

    Args:
        view: what training may see.
        config: window and target settings.
        conditions: codes of actions and surfaces.
        seed: of order, sampling and condition dropout.

    Raises:
        ConfigError: if no user has two positive events to learn from.
    """

    def __init__(self, view: View, config: PinRecConfig, conditions: Conditions, *, seed: int) -> None:
        self._view, self._config, self._conditions, self._seed = view, config, conditions, seed
        self._edges_s = offset_edges(config.offset_buckets)
        self._stream = TokenStream.of(view, config.mentions)
        times = self._stream.time
        self._start, self._stop = _windows(self._stream.user, config.history_length + 1, config.windows)
        if config.recent_days:
            recent = times[self._stop - 1] >= view.end_time - int(config.recent_days * 86_400_000)
            self._start, self._stop = self._start[recent], self._stop[recent]
        if len(self._start) == 0 or len(self._stream.event_rows) < 2:
            raise ConfigError(
                f"nothing to learn from: no user of {view.dataset or 'the store'} has two positive events {view.wall}. "
                "Fix: check which actions are declared negative, or move the wall"
            )
        self._sizes = self._stop - self._start - 1

    @property
    def view(self) -> View:
        """What training sees."""
        return self._view

    @property
    def positions(self) -> int:
        """Positions with a successor per epoch."""
        return int(self._sizes.sum())

    @property
    def time_range(self) -> tuple[int, int]:
        """Time of the first and the last event trained on, int ms."""
        times = self._stream.time
        return int(times[self._start].min()), int(times[self._stop - 1].max())

    def __len__(self) -> int:
        return len(self._cuts(np.sort(self._sizes)))

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[PinRecBatch]:
        """See :class:`bowerbird.learn.train.BatchSource`."""
        rng = derived(self._seed, _ORDER, epoch)
        order = np.lexsort((rng.random(len(self._sizes)), self._sizes))
        batches = np.split(order, self._cuts(self._sizes[order])[:-1])
        for number, b in enumerate(rng.permutation(len(batches))):
            if number < start or len(batches[b]) < world:
                continue
            share = batches[b][rank::world]
            yield self._build(share, derived(self._seed, _BUILD, epoch, number, rank), epoch)

    def _cuts(self, sizes: np.ndarray) -> np.ndarray:
        """Ends of the batches when windows of these sizes are taken in order."""
        total = np.cumsum(sizes)
        count = max(1, round(int(total[-1]) / self._config.batch_positions))
        return np.unique(np.searchsorted(total, total[-1] * (np.arange(count) + 1) / count) + 1)

    def _build(self, chosen: np.ndarray, rng: np.random.Generator, epoch: int) -> PinRecBatch:
        return self._predicting(self._gather(self._start[chosen], self._stop[chosen]), rng)

    def _predicting(self, windows: Windows, rng: np.random.Generator) -> PinRecBatch:
        config = self._config
        window, position = anchors(windows, config.anchors_per_user, rng)
        if config.offset_buckets > 1:
            rows = future_items(
                windows, window, position, edges_s=self._edges_s, draws=config.targets_per_anchor,
                reach=config.target_window, rng=rng,
            )  # fmt: skip
        else:
            rows = next_item(windows, window, position)
        target = rows.target
        if config.relax != "none" and config.offset_buckets == 1:
            target = feed_targets(windows, rows, config.relax_targets)
        codes = {}
        for name in ("action", "surface", "offset"):
            dropped = rng.random(len(rows.window)) < config.condition_dropout
            codes[name] = torch.from_numpy(np.where(dropped, 0, getattr(rows, name)))
        return PinRecBatch(
            tokens=tokens(windows),
            window=torch.from_numpy(rows.window),
            position=torch.from_numpy(rows.position),
            time=torch.from_numpy(rows.time),
            target=torch.from_numpy(target),
            weight=torch.from_numpy(rows.weight),
            **codes,
        )

    def _gather(self, start: np.ndarray, stop: np.ndarray) -> Windows:
        lengths = stop - start
        column = np.arange(int(lengths.max()))
        filled = column[None, :] < lengths[:, None]
        stream, place = self._stream, (start[:, None] + column)[filled]
        acted = stream.row[place] >= 0
        events = self._view.take(stream.row[place[acted]])
        event = np.zeros(filled.shape, dtype=bool)
        event[filled] = acted
        mentions, named = stream.mentions, stream.mention[place[~acted]]

        def spread(values: np.ndarray, said: np.ndarray | int = 0, padding: int = 0) -> np.ndarray:
            """Values of the events, ``said`` at mentions."""
            out = np.full(filled.shape, padding, dtype=np.int64)
            out[event] = values
            if mentions is not None:
                out[filled & ~event] = said
            return out

        def of_mentions(name: str) -> np.ndarray | int:
            return 0 if mentions is None else getattr(mentions, name)[named]

        surface = of_mentions("surface")
        return Windows(
            item=spread(events.item, of_mentions("code") + self._view.n_items),
            time=spread(events.time, of_mentions("time")),
            action=spread(self._conditions.action_codes(events.actions)),
            deeds=spread(events.actions.astype(np.int64)),
            surface=spread(
                self._conditions.surface_codes(events.surface),
                self._conditions.surface_codes(np.asarray(surface)),
            ),
            request=spread(events.request, of_mentions("request"), -1),
            lengths=lengths.astype(np.int64),
            event=event,
        )


def tokens(windows: Windows) -> Tokens:
    """The model's inputs of a batch of windows."""
    return Tokens(**{f.name: torch.from_numpy(getattr(windows, f.name)) for f in fields(Tokens)})


def history_tokens(
    view: View, users: np.ndarray, end: np.ndarray | None, length: int, conditions: Conditions, *,
    mentions: Sequence[MentionKind] = (), until: np.ndarray | None = None,
) -> Tokens:  # fmt: skip
    """The last ``length`` tokens of users as model inputs: positive events before a row, mentions up to a moment.

    Rows without any token have length 0; at least one column is always there.
    """
    batch = view.histories(users, length, end=end, mentions=mentions, until=until)
    return batch_tokens(batch, conditions)


def batch_tokens(batch: HistoryBatch, conditions: Conditions) -> Tokens:
    """A batch of histories as model inputs, as wide as its longest (at least one column)."""
    used = max(1, int(batch.lengths.max(initial=0)))

    def column(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.int64))

    return Tokens(
        item=column(batch.item[:, :used]),
        time=column(batch.time[:, :used]),
        action=column(conditions.action_codes(batch.actions[:, :used])),
        deeds=column(batch.actions[:, :used]),
        surface=column(conditions.surface_codes(batch.surface[:, :used])),
        lengths=column(batch.lengths),
    )


def _windows(users: np.ndarray, length: int, which: str) -> tuple[np.ndarray, np.ndarray]:
    """Spans of at most ``length`` events per user, cut from the end, each sharing one event with the next.

    The shared event is a target in one window and the first input of the other, so every transition is trained
    exactly once.
    """
    if len(users) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first = np.flatnonzero(np.concatenate([[True], users[1:] != users[:-1]]))
    past = np.concatenate([first[1:], [len(users)]])
    steps = np.ones(len(first), np.int64)
    if which == "all":
        steps = np.maximum(1, -(-(past - first - 1) // (length - 1)))
    owner = np.repeat(np.arange(len(first)), steps)
    back = np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)
    stop = past[owner] - back * (length - 1)
    start = np.maximum(first[owner], stop - length)
    keep = stop - start >= 2
    return start[keep], stop[keep]
