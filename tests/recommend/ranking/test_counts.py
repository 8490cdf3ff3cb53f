"""Counts as inputs of the heads: the same in training as in serving, and gone with their switch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import UniPinRecExamples
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.tables.store import Store

from .conftest import untrained


def test_training_reads_the_counts_that_serving_reads(slates: Store, uni: UniPinRecConfig) -> None:
    model, conditions, view = untrained(slates, uni)
    opened = OpenUniPinRec(model, conditions, view)
    ends = {(s.user, s.time): s.history_end for s in view.slates()}
    owner = {tuple(view.positives.item[view.positives.user == u].tolist()): u for u in view.users.tolist()}
    checked = 0
    for batch in UniPinRecExamples(view, replace(uni, slates_per_window=100), conditions, seed=0).epoch(0):
        c, tokens = batch.candidates, batch.tokens
        trained = model.counted(tokens, c.item, c.time, c.seen, c.rates)
        assert trained is not None and float(trained[c.real].std()) > 0
        for b in range(len(c.lengths)):
            user = owner.get(tuple(tokens.item[b, : int(tokens.lengths[b])].tolist()))
            for k in np.flatnonzero(c.real[b].numpy()) if user is not None else ():
                time = int(c.time[b, k])
                if (user, time) not in ends:  # another user with the same items
                    continue
                history = opened.histories(np.array([user], np.int32), np.array([ends[user, time]]))
                served = opened._counted(history, c.item[b : b + 1, k : k + 1], torch.tensor([time]), view)
                assert served is not None
                torch.testing.assert_close(served[0, 0], trained[b, k], atol=1e-6, rtol=1e-6)
                checked += 1
    assert checked > 100


def test_the_future_never_changes_what_is_counted(slates: Store, uni: UniPinRecConfig) -> None:
    model, conditions, view = untrained(slates, uni)
    whole = OpenUniPinRec(model, conditions, view)
    moment = int(np.median(view.events.time))
    earlier = OpenUniPinRec(model, conditions, view.narrow(moment))
    users = earlier.view.users[:20]
    ask = torch.arange(12).expand(len(users), 12), torch.full((len(users),), moment)
    past = earlier.histories(users)
    known = whole._counted(whole.histories(users, view.rows_before(users, moment)), *ask, view)
    found = earlier._counted(past, *ask, earlier.view)
    assert known is not None and found is not None and torch.equal(known, found)


def test_without_counts_it_is_the_published_network(slates: Store, uni: UniPinRecConfig) -> None:
    with_counts, conditions, view = untrained(slates, uni)
    plain, _, _ = untrained(slates, uni.plain())
    only = {name for name in with_counts.state_dict() if name not in plain.state_dict()}
    assert {name.split(".")[0] for name in only} == {"count_heads", "affinity_weight"}
    batch = next(iter(UniPinRecExamples(view, uni.plain(), conditions, seed=0).epoch(0)))
    assert batch.candidates.rates.shape == (*batch.candidates.item.shape, 0)
    tokens = OpenUniPinRec(plain, conditions, view).histories(view.users[:4])
    ids_BK = torch.arange(6).expand(4, 6)
    ask = {"time_B": tokens.time.amax(1) + 1, "surface_B": torch.ones(4, dtype=torch.long)}
    for model in (plain, with_counts):
        opened = OpenUniPinRec(model, conditions, view)
        asked = opened.encode(tokens), opened.vectors_IE[ids_BK], ids_BK
        if model is plain:
            assert torch.equal(opened.rank(*asked, **ask), opened.rank(*asked, **ask, history=tokens))
            continue
        with pytest.raises(ValueError, match="reads counts"):
            opened.rank(*asked, **ask)
