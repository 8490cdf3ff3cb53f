"""Which slates meet which part of which history: checked against a plain walk through the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import UniPinRecExamples
from bowerbird.tables.store import Store
from bowerbird.tables.view import View


def _walk(view: View) -> set[tuple]:
    """(item, time, deeds, history before it) of every row whose slate has a history."""
    found = set()
    for slate in view.slates():
        rows = np.flatnonzero((view.positives.user == slate.user) & (view.positives.row < slate.history_end))
        history = tuple(view.positives.item[rows].tolist())
        if history:
            found |= {
                (int(item), slate.time, int(actions), history)
                for item, actions in zip(slate.items, slate.actions, strict=True)
            }
    return found


@pytest.mark.parametrize("length", [12, 4])
def test_every_slate_once_behind_exactly_its_history(
    slates: Store, uni: UniPinRecConfig, length: int
) -> None:
    view = View(slates)
    config = replace(uni, history_length=length, slates_per_window=100)
    want = _walk(view)
    rows = 0
    for batch in UniPinRecExamples(view, config, Conditions.of(view), seed=0).epoch(0):
        c, tokens = batch.candidates, batch.tokens
        for b in range(len(c.lengths)):
            for k in range(int(c.lengths[b])):
                seen = int(c.seen[b, k])
                history = tuple(tokens.item[b, :seen].tolist())
                key = (int(c.item[b, k]), int(c.time[b, k]), int(c.deeds[b, k]))
                # a window holds the end of a long history
                full = [h for *row, h in want if tuple(row) == key and h[-seen:] == history]
                assert 1 <= seen <= int(tokens.lengths[b]) and full
                assert int(c.previous[b, k]) == int(tokens.time[b, seen - 1]) < int(c.time[b, k])
                if length == 12:
                    assert history in full
                rows += 1
    # users with a single positive event have no window to learn from
    users, counts = np.unique(view.positives.user, return_counts=True)
    trained = set(users[counts >= 2].tolist())
    expected = sum(
        len(slate.items)
        for slate in view.slates()
        if slate.user in trained
        and ((view.positives.user == slate.user) & (view.positives.row < slate.history_end)).any()
    )
    assert rows == expected


def test_empty_slates_are_kept_at_the_asked_rate_and_differ_by_epoch(
    slates: Store, uni: UniPinRecConfig
) -> None:
    view = View(slates)

    def empty(config: UniPinRecConfig, epoch: int) -> list[tuple[int, int]]:
        found = {}
        for batch in UniPinRecExamples(view, config, Conditions.of(view), seed=0).epoch(epoch):
            c = batch.candidates
            for b in range(len(c.lengths)):
                for k in range(int(c.lengths[b])):
                    key = int(c.time[b, k])
                    found[key] = found.get(key, 0) | int(c.deeds[b, k])
        return sorted(key for key, deeds in found.items() if deeds == 0)

    config = replace(uni, slates_per_window=100)
    everything = empty(config, 0)
    assert len(everything) > 60 and empty(replace(config, keep_empty=0.0), 0) == []
    some = [empty(replace(config, keep_empty=0.3), epoch) for epoch in (0, 1)]
    assert some[0] != some[1]
    for kept in some:
        assert set(kept) <= set(everything)
        assert 0.15 < len(kept) / len(everything) < 0.45


def test_masks_hide_targets_and_follow_the_rate(slates: Store, uni: UniPinRecConfig) -> None:
    view = View(slates)
    for p in (0.0, 0.25):
        masked = anchors = positions = 0
        examples = UniPinRecExamples(view, replace(uni, p_mask=p), Conditions.of(view), seed=0)
        for batch in examples.epoch(0):
            real = np.arange(batch.masked.shape[1]) < batch.tokens.lengths.numpy()[:, None]
            masked += int(batch.masked.numpy()[real].sum())
            positions += int(real.sum())
            assert not batch.masked[batch.window, batch.position].any()
            anchors += len(batch.window)
        assert abs(masked / positions - p) < 0.08
        assert abs(anchors / examples.positions - (1 - p)) < 0.08


def test_no_more_slates_share_a_window_than_asked(slates: Store, uni: UniPinRecConfig) -> None:
    view = View(slates)
    for batch in UniPinRecExamples(
        view, replace(uni, slates_per_window=2, slate_size=3), Conditions.of(view), seed=0
    ).epoch(0):
        assert int(batch.candidates.lengths.max()) <= 6
        for b in range(len(batch.candidates.lengths)):
            n = int(batch.candidates.lengths[b])
            assert len(set(batch.candidates.time[b, :n].tolist())) <= 2
