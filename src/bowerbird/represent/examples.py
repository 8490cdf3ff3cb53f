"""From a world to training batches: entity pairs, features, user sequences and random nodes (A.3, A.4).

Everything random is drawn for the batch of all processes together; each then takes its share of the rows, so that two
processes take the step that one would.

Shapes: R rows, M random nodes, W sequences, L items of a sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from bowerbird.learn.randomness import derived
from bowerbird.nn import frequency_counter
from bowerbird.nn.losses.frequency import FrequencyCounter
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.nodes.batch import Asked, NodeBatch
from bowerbird.represent.sources.features import feature_sources
from bowerbird.represent.sources.pairs import PairSource, Segment
from bowerbird.represent.sources.requests import RequestBook
from bowerbird.represent.sources.sequences import SequenceSource, Windows
from bowerbird.represent.tasks.rows import (
    FEATURE,
    PAIR,
    USER,
    FeatureRows,
    OmniSageBatch,
    PairRows,
    RandomNodes,
    SequenceRows,
)
from bowerbird.represent.world.folds import Fold, fold_of
from bowerbird.represent.world.subsets import ENGAGED
from bowerbird.represent.world.world import World
from bowerbird.tables.errors import ConfigError

_BATCH, _FREQUENCY = 21, 22


@dataclass(frozen=True)
class _Draw:
    """The rows of one batch of all processes before anything is embedded; codes are blanking codes."""

    pairs: dict[Segment, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
    """(anchor, positive, their codes)"""
    windows: Windows | None
    random: dict[str, tuple[np.ndarray, np.ndarray]]
    """(ids, codes)"""
    features: dict[tuple[str, str, str], list[np.ndarray]]
    """(type whose feature asks, feature, type to be found) -> float64 (3, R) for every end of the pairs of that type:
    whether the row asks, which neighbour, itself or a neighbour"""


class OmniSageExamples:
    """Training batches of a world (a ``BatchSource``); an epoch is ``validate_every`` batches.

    Args:
        world: what training may see.
        config: row counts and shares.
        seed: of all draws.

    Raises:
        ConfigError: if there is nothing to learn from.
    """

    def __init__(self, world: World, config: OmniSageConfig, *, seed: int) -> None:
        self._world, self._config, self._seed = world, config, seed
        self._folds: list[Fold | None] = [*world.folds] or [None]
        self._pairs = [
            PairSource(world, config) if fold is None else PairSource(fold.world, config, world, fold)
            for fold in self._folds
        ]
        self._sequences: SequenceSource | None = None
        if config.user_weight > 0:
            self._sequences = SequenceSource(
                world.view, config, len(world.folds), event_folds(world) if world.folds else None
            )
        if not any(source.segments for source in self._pairs) and (
            self._sequences is None or not len(self._sequences)
        ):
            raise ConfigError(
                f"nothing to learn from: {world.view.dataset or 'the store'} shows no edge between items or "
                f"collections and no user with two positive events {world.view.wall}"
            )
        # items nobody kept yet are no negatives: nothing was seen of them, and a model told that whatever is new is
        # wrong would never show it
        kept = np.flatnonzero(world.view.item_counts() > 0)
        self._population = {
            name: kept if name == "item" else np.arange(content.count)
            for name, content in world.contents.items()
        }
        self._counters = self._frequencies()

    def __len__(self) -> int:
        return self._config.validate_every

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[OmniSageBatch]:
        """See :class:`bowerbird.learn.train.BatchSource`.

        Raises:
            ConfigError: for more processes than sequences of a step.
        """
        if self._sequences is not None and world > self._config.sequences:
            raise ConfigError(
                f"{world} processes need at least {world} sequences a step; set sequences={world}"
            )
        for number in range(start, len(self)):
            yield self._batch(derived(self._seed, _BATCH, epoch, number), rank, world)

    # --- drawing -------------------------------------------------------------------------------------------------

    def _batch(self, rng: np.random.Generator, rank: int, size: int) -> OmniSageBatch:
        number = int(rng.integers(len(self._folds)))
        fold = self._folds[number]
        world = self._world if fold is None else fold.world
        draw, mine = self._draw(rng, number), slice(rank, None, size)
        book = RequestBook(world)
        at: dict[Segment, tuple[slice, slice]] = {}
        for (a, p), rows in draw.pairs.items():
            anchor, positive, code_a, code_p = (x[mine] for x in rows)
            at[a, p] = (
                book.ask(a, anchor, other_type=p, other=positive, blank=code_a),
                book.ask(p, positive, other_type=a, other=anchor, blank=code_p),
            )
        windows = None if draw.windows is None else draw.windows.share(rank, size)
        items = None if windows is None else self._ask_items(book, windows)
        lists = None if windows is None else self._ask_lists(book, windows, world)
        random = {
            name: (ids[mine], book.ask(name, ids[mine], blank=code[mine]))
            for name, (ids, code) in draw.random.items()
        }
        asked, place = book.requests()
        nodes = world.assembled(asked)
        pairs = [
            PairRows(
                a, p, _t(place[a][anchor]), _t(place[p][positive]), _t(draw.pairs[a, p][0][mine]),
                _t(draw.pairs[a, p][1][mine]), self._share(PAIR, p, draw.pairs[a, p][1][mine]),
            )
            for (a, p), (anchor, positive) in at.items()
        ]  # fmt: skip
        sequences = None
        if windows is not None and items is not None and len(windows.user):
            own = (np.empty(0, np.int64), np.empty(0, np.int64))
            if lists is not None:
                own = (lists[0], place["collection"][lists[1]])
            sequences = self._sequence_rows(windows, place["item"][items], own, lists is not None)
        rows_here = sum(len(found.anchor) for found in pairs)
        return OmniSageBatch(
            nodes=nodes, pairs=tuple(pairs), features=tuple(self._features(draw, pairs, asked, nodes, mine)),
            sequences=sequences,
            random={name: self._random(name, ids, place[name][where]) for name, (ids, where) in random.items()},
            weight=float(rows_here) if rows_here else self._config.pairs / size,
        )  # fmt: skip

    def _draw(self, rng: np.random.Generator, fold: int) -> _Draw:
        config = self._config
        pairs = {}
        if config.pair_weight > 0 or config.feature_weight > 0:
            for key, (anchor, positive) in self._pairs[fold].draw(rng, config.pairs).items():
                pairs[key] = (anchor, positive, self._blank(rng, len(anchor)), self._blank(rng, len(anchor)))
        windows = None
        if self._sequences is not None and len(self._sequences):
            windows = self._sequences.draw(rng, config.sequences, fold)
            windows = windows.blanked(self._blank(rng, windows.item.size).reshape(windows.item.shape))
        random = {}
        for name, known in self._population.items():
            if config.random_nodes and len(known):
                ids = rng.choice(known, size=config.random_nodes)
                random[name] = (ids, self._blank(rng, len(ids)))
        features: dict[tuple[str, str, str], list[np.ndarray]] = {}
        for segment in self._feature_segments(pairs):
            rows = [len(p[0]) for key, p in pairs.items() for end in key if end == segment[2]]
            features[segment] = [rng.random((3, count)) for count in rows]
        return _Draw(pairs, windows, random, features)

    def _blank(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Blanking codes; see :mod:`bowerbird.represent.sources.requests`."""
        whole, part = self._config.neighbour_dropout, self._config.subset_dropout
        draw, subsets = rng.random(count), len(self._world.subsets)
        code = np.where(draw < whole, 1, 0)
        if subsets > 1:
            chosen = (draw >= whole) & (draw < whole + part)
            code = np.where(chosen, 2 + rng.integers(subsets, size=count), code)
        return code.astype(np.int64)

    def _ask_items(self, book: RequestBook, windows: Windows) -> slice:
        """The items of sequences and their future items.

        None may see the list it shares with the others, nor, where walks follow who was engaged with next, the items
        right before and after it.
        """
        item, user, blank = windows.flat()
        hide = windows.beside() if ENGAGED in self._world.relations else None
        if windows.held is not None:  # what is to be foreseen has no edge here
            return book.ask("item", item, blank=blank, hide=hide)
        kind, own = self._world.own_lists(user, item)
        return book.ask("item", item, other_type=kind, other=own, blank=blank, hide=hide)

    def _ask_lists(
        self, book: RequestBook, windows: Windows, world: World
    ) -> tuple[np.ndarray, slice] | None:
        """The lists of the windows' users, as far as the fold shows them."""
        if windows.held is None or not self._config.user_lists or "collection" not in world.contents:
            return None
        window, place = world.lists_of(windows.user)
        return window, book.ask("collection", place)

    # --- rows ------------------------------------------------------------------------------------------------------

    def _sequence_rows(
        self, windows: Windows, place: np.ndarray, own: tuple[np.ndarray, np.ndarray], lists: bool
    ) -> SequenceRows:
        """Loss rows of sequences.

        Args:
            windows: the sequences. place: the request of each item of ``windows.flat()``.
            own: window and request of the users' own lists. lists: whether there are any.
        """
        at = np.zeros(windows.item.shape, np.int64)
        at[windows.mask] = place[: int(windows.mask.sum())]
        column, inputs = windows.read()
        window, position, target_column = windows.asked()
        future = np.full(len(windows.item), -1, np.int64)
        future[windows.future >= 0] = place[int(windows.mask.sum()) :]
        later = future[window] >= 0
        target = np.concatenate([at[window, target_column], future[window[later]]])
        ids = np.concatenate([windows.item[window, target_column], windows.future[window[later]]])
        right = np.concatenate([windows.item, windows.future[:, None]], axis=1)
        return SequenceRows(
            item=_t(np.take_along_axis(at, column, 1)), lengths=_t(inputs),
            time=_t(np.take_along_axis(windows.time, column, 1)),
            window=_t(np.concatenate([window, window[later]])),
            position=_t(np.concatenate([position, position[later]])),
            positive=_t(target), positive_id=_t(ids), share=self._share(USER, "item", ids),
            future=torch.from_numpy(np.arange(len(ids)) >= len(window)), right=_t(right),
            list_window=_t(own[0]), own_list=_t(own[1]), list_type="collection" if lists else "",
        )  # fmt: skip

    def _feature_segments(self, pairs: Iterable[Segment]) -> list[tuple[str, str, str]]:
        """(type whose feature asks, feature, type to be found)."""
        if self._config.feature_weight <= 0:
            return []
        kinds = sorted({kind for key in pairs for kind in key})
        return [
            (source, feature, kind)
            for source, content in self._world.contents.items()
            for feature in content.names
            for kind in kinds
        ]

    def _features(
        self, draw: _Draw, pairs: list[PairRows], asked: dict[str, Asked], nodes: NodeBatch, mine: slice
    ) -> Iterator[FeatureRows]:
        """Features of the nodes of the pairs, or of neighbours they see, that ask for these nodes."""
        for (source, feature, kind), random in draw.features.items():
            ends = [
                request
                for rows in pairs
                for end, request in ((rows.anchor_type, rows.anchor), (rows.positive_type, rows.positive))
                if end == kind
            ]
            total = sum(part.shape[1] for part in random)
            share = self._config.features / len(draw.features) / max(total, 1)
            asks, which, itself = np.concatenate([part[:, mine] for part in random], axis=1)
            chosen = asks < share
            request = torch.cat(ends).numpy()[chosen]
            found = feature_sources(asked[kind], request, kind, source, which[chosen], itself[chosen])
            keep = found >= 0
            keep[keep] = self._world.contents[source].present(feature, found[keep])
            found, request = found[keep], request[keep]  # perhaps none: every process has the same segments
            ids = asked[kind].ids[request]
            there = nodes.distinct[source].numpy() if len(found) else found
            yield FeatureRows(
                source, feature, _t(np.searchsorted(there, found)), kind, _t(request), _t(ids),
                self._share(FEATURE, kind, ids),
            )  # fmt: skip

    def _random(self, name: str, ids: np.ndarray, request: np.ndarray) -> RandomNodes:
        share = {task: self._share(task, name, ids) for task, kind in self._counters if kind == name}
        return RandomNodes(_t(request), _t(ids), len(self._population[name]), share)

    # --- frequencies ---------------------------------------------------------------------------------------------

    def _share(self, task: str, kind: str, ids: np.ndarray) -> torch.Tensor:
        """log of the share of ids among the positives of a task and type, float32."""
        return self._counters[task, kind].log_probability(_t(ids))

    def _frequencies(self) -> dict[tuple[str, str], FrequencyCounter]:
        """Counters of the positives of every task and type: of drawn pairs, and of every event that can be a target."""
        config = self._config
        counters: dict[tuple[str, str], FrequencyCounter] = {}
        for task in (PAIR, FEATURE, USER):
            for kind, content in self._world.contents.items():
                counters[task, kind] = frequency_counter(content.count)
        rng = derived(self._seed, _FREQUENCY)
        sources, drawn, turn = [source for source in self._pairs if source.segments], 0, 0
        while sources and drawn < config.frequency_draws:
            found = sources[turn % len(sources)].draw(rng, 16 * config.pairs)
            turn += 1
            for (anchor_type, positive_type), (anchor, positive) in found.items():
                counters[PAIR, positive_type].update(_t(positive))
                counters[FEATURE, positive_type].update(_t(positive))
                counters[FEATURE, anchor_type].update(_t(anchor))
                drawn += len(anchor)
        if self._sequences is not None:
            counters[USER, "item"].update(_t(self._sequences.targets()))
        return counters


def event_folds(world: World) -> np.ndarray:
    """int64 (P,): the fold of each positive event of a world's view, that of its edge with the user's own list."""
    positives = world.view.positives
    user, item = positives.user.astype(np.int64), positives.item.astype(np.int64)
    own = world.own_lists(user, item)[1]
    config = world.config
    return fold_of(np.where(own >= 0, own, user), item, config.folds, by_item=config.fold_by == "item")


def _t(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
