"""A run that was stopped and resumed equals one that was not, bit for bit; killed writers harm nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from bowerbird.learn.run import Run, read_metrics
from bowerbird.learn.storage import folders
from bowerbird.learn.train import TrainConfig, TrainingError, train

from .toy import World

CONFIG = TrainConfig(
    epochs=4, learning_rate=0.02, warmup_steps=3, ema=0.8, checkpoint_every_steps=3, log_every_steps=2,
    validate_every_steps=4, validate_every_epochs=0, patience=50,
)  # fmt: skip


class KilledError(Exception):
    """Stands for a process that dies."""


def train_and_die(folder: Path, after: int, config: TrainConfig = CONFIG) -> None:
    """Train until the step function has been called ``after`` times, then die inside it."""
    world = World(dropout=0.3)
    calls = 0

    def step(batch, rng):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KilledError
        return world.step(batch, rng)

    run = Run(folder, seed=0, device="cpu", quiet=True)
    with pytest.raises(KilledError):
        train(
            world.model, world.source, step, config, run, validate=world.validate, monitor="mse", mode="min"
        )


@pytest.mark.parametrize("after", [4, 9, 11, 15])
def test_resumed_equals_uninterrupted_bitwise(tmp_path: Path, after: int) -> None:
    whole = World(dropout=0.3)
    expected = whole.train(CONFIG, tmp_path / "whole")
    train_and_die(tmp_path / "torn", after)
    # The resumed process starts from other weights and other random states: all must come from the
    # checkpoint.
    torn = World(dropout=0.3)
    torch.manual_seed(999)
    for parameter in torn.model.parameters():
        torch.nn.init.zeros_(parameter)
    found = torn.train(CONFIG, tmp_path / "torn", resume=True)
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, torn.weights()[name]), name
    assert found.history == expected.history
    assert found.losses == expected.losses
    assert (found.steps, found.best, found.best_step, found.loss, found.examples) == (
        expected.steps, expected.best, expected.best_step, expected.loss, expected.examples,
    )  # fmt: skip
    assert torn.seen == whole.seen[-len(torn.seen) :]
    assert len(torn.seen) == 20 - after // 3 * 3

    def told(folder: str) -> list[dict]:
        clocks = {"seconds", "examples_per_second", "validation_seconds"}
        records = read_metrics(tmp_path / folder / "metrics.jsonl")
        return [{k: v for k, v in r.items() if k not in clocks} for r in records]

    assert told("torn") == told("whole")


def test_accumulation_and_epoch_checkpoints_resume_too(tmp_path: Path) -> None:
    config = TrainConfig(epochs=3, accumulate=2, learning_rate=0.02)
    whole, torn = World(dropout=0.3), World(dropout=0.3)
    whole.train(config, tmp_path / "whole")
    train_and_die(tmp_path / "torn", 12, config)
    torn.train(config, tmp_path / "torn", resume=True)
    assert len(torn.seen) == 5  # the checkpoint was written after two epochs of five batches
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, torn.weights()[name]), name


def test_finished_run_resumes_to_the_same_result(tmp_path: Path) -> None:
    first, second = World(), World(seed=0)
    result = first.train(CONFIG, tmp_path)
    again = second.train(CONFIG, tmp_path, resume=True)
    assert second.seen == []
    assert (again.steps, again.best, again.reason) == (result.steps, result.best, "finished")
    for name, tensor in first.weights().items():
        assert torch.equal(tensor, second.weights()[name])


def test_finished_run_can_be_trained_longer(tmp_path: Path) -> None:
    short = TrainConfig(epochs=2, schedule="constant")
    long = TrainConfig(epochs=4, schedule="constant")
    World().train(short, tmp_path / "a")
    longer, whole = World(), World()
    longer.train(long, tmp_path / "a", resume=True)
    whole.train(long, tmp_path / "b")
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, longer.weights()[name])


def test_kill_while_writing_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folders.write_manifest
    calls = 0

    def dying(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KilledError
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("bowerbird.learn.train.checkpoint.write_manifest", dying)
        with pytest.raises(KilledError):
            World(dropout=0.3).train(CONFIG, tmp_path)
    kept = sorted(p.name for p in (tmp_path / "checkpoints" / "train").iterdir())
    assert kept == ["step-00000003", "step-00000006"]
    whole, torn = World(dropout=0.3), World(dropout=0.3)
    whole.train(CONFIG)
    torn.train(CONFIG, tmp_path, resume=True)
    assert len(torn.seen) == 14
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, torn.weights()[name])


def test_a_writer_killed_for_good_is_cleaned_up_and_ignored(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "train"
    train_and_die(tmp_path, 7)
    stray = folder / ".step-00000009.new-abcd"
    stray.mkdir()
    (stray / "tensors.safetensors").write_bytes(b"half")
    World(dropout=0.3).train(CONFIG, tmp_path, resume=True)
    assert not stray.exists()


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    train_and_die(tmp_path, 8)
    newest = tmp_path / "checkpoints" / "train" / "step-00000006" / "tensors.safetensors"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    whole, torn = World(dropout=0.3), World(dropout=0.3)
    whole.train(CONFIG)
    run = Run(tmp_path, seed=0, device="cpu", resume=True)
    train(torn.model, torn.source, torn.step, CONFIG, run, validate=torn.validate, monitor="mse", mode="min")
    assert "passed over" in capsys.readouterr().err
    assert len(torn.seen) == 17
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, torn.weights()[name])


def test_no_whole_checkpoint_is_an_error_not_a_fresh_start(tmp_path: Path) -> None:
    train_and_die(tmp_path, 4)
    head = tmp_path / "checkpoints" / "train" / "step-00000003" / "checkpoint.json"
    head.write_text(head.read_text()[:-20])
    with pytest.raises(TrainingError, match=r"no checkpoint can be read.*start over"):
        World(dropout=0.3).train(CONFIG, tmp_path, resume=True)


def test_checkpoint_of_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    train_and_die(tmp_path, 4)
    other = TrainConfig(**{**CONFIG.__dict__, "learning_rate": 0.5})
    with pytest.raises(TrainingError, match=r"train\.learning_rate was 0\.02, now it is 0\.5"):
        World(dropout=0.3).train(other, tmp_path, resume=True)
    with pytest.raises(TrainingError, match="seed was 0, now it is 1"):
        World(seed=1).train(CONFIG, tmp_path, resume=True)


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    train_and_die(tmp_path, 4)
    world = World()
    world.model.out = torch.nn.Linear(6, 2)
    with pytest.raises(TrainingError, match="does not fit this model"):
        world.train(CONFIG, tmp_path, resume=True)


def test_without_resume_old_checkpoints_and_records_are_discarded(tmp_path: Path) -> None:
    World().train(CONFIG, tmp_path)
    World().train(TrainConfig(steps=1), tmp_path)
    kept = [p.name for p in (tmp_path / "checkpoints" / "train").iterdir()]
    assert kept == ["step-00000001"]
    assert {r["step"] for r in read_metrics(tmp_path / "metrics.jsonl")} == {1}


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    World().train(TrainConfig(steps=9, checkpoint_every_steps=2, keep_checkpoints=3), tmp_path)
    kept = sorted(p.name for p in (tmp_path / "checkpoints" / "train").iterdir())
    assert kept == ["step-00000006", "step-00000008", "step-00000009"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_saves_first_and_resumes_exactly(tmp_path: Path, number: signal.Signals) -> None:
    whole, torn, rest = (World(dropout=0.3) for _ in range(3))
    config = TrainConfig(epochs=3, checkpoint_every_steps=1000)
    whole.train(config)
    step = torn.step

    def asking(batch, rng):
        if len(torn.seen) == 7:
            os.kill(os.getpid(), number)
        return step(batch, rng)

    torn.step = asking
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        torn.train(config, tmp_path)
    assert signal.getsignal(number) is before
    rest.train(config, tmp_path, resume=True)
    assert len(torn.seen) + len(rest.seen) == len(whole.seen) == 15
    for name, tensor in whole.weights().items():
        assert torch.equal(tensor, rest.weights()[name])
