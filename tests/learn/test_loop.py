"""The loop: accumulation, early stopping, precision, averages, errors, records."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from bowerbird.learn.run import Run, read_metrics
from bowerbird.learn.train import ShuffledRows, StepOutput, TrainConfig, TrainingError, train
from bowerbird.tables.errors import ConfigError

from .toy import World


def plain_step(world: World):
    """The world's loss without its random factor."""

    def step(batch, rng):
        error = world.model(batch) - batch.y
        return StepOutput((error**2).sum(), len(error), len(error))

    return step


def fit_plainly(batch_size: int, accumulate: int, **settings) -> dict[str, torch.Tensor]:
    world = World(batch_size=batch_size)
    config = TrainConfig(epochs=3, learning_rate=0.02, accumulate=accumulate, **settings)
    train(world.model, world.source, plain_step(world), config, Run(seed=0, device="cpu", quiet=True))
    return world.weights()


def test_accumulated_batches_equal_one_big_batch() -> None:
    # 40 rows: batches of 16 leave a last one of 8; as 2 x 8 the last step accumulates a single batch.
    whole, split = fit_plainly(16, 1), fit_plainly(8, 2)
    for name, tensor in whole.items():
        torch.testing.assert_close(split[name], tensor, atol=1e-6, rtol=1e-5)


def test_one_step_is_adamw_on_the_mean_gradient() -> None:
    world = World(batch_size=40)
    expected = World(batch_size=40)
    batch = expected.build(torch.arange(40).numpy(), None)
    loss = ((expected.model(batch) - batch.y) ** 2).mean()
    loss.backward()
    parts = dict(expected.model.named_parameters())
    norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in parts.values()]))
    for parameter in parts.values():
        parameter.grad.mul_(0.1 / norm)
    decayed = {"mix.weight", "out.weight"}
    torch.optim.AdamW(
        [
            {"params": [p for n, p in parts.items() if n in decayed], "weight_decay": 0.3},
            {"params": [p for n, p in parts.items() if n not in decayed], "weight_decay": 0.0},
        ],
        lr=0.02,
    ).step()
    config = TrainConfig(
        steps=1, learning_rate=0.02, weight_decay=0.3, gradient_clip=0.1, schedule="constant"
    )
    train(world.model, world.source, plain_step(world), config, Run(seed=0, device="cpu", quiet=True))
    for name, parameter in parts.items():
        torch.testing.assert_close(world.weights()[name], parameter.detach(), atol=2e-5, rtol=1e-4)


def scripted(values: list[float], **settings):
    """Train with validations that return ``values`` in turn; returns the result, weights then and now."""
    world = World()
    snapshots = []

    def validate():
        assert not world.model.training
        assert not torch.is_grad_enabled()
        snapshots.append(world.weights())
        return {"ndcg@10": values[len(snapshots) - 1]}

    config = TrainConfig(epochs=len(values), **settings)
    result = train(
        world.model, world.source, plain_step(world), config, Run(device="cpu", quiet=True), validate=validate
    )
    return result, snapshots, world


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_best_weights_are_restored() -> None:
    result, snapshots, world = scripted([0.1, 0.4, 0.2, 0.3])
    assert (result.best, result.best_step, result.reason, result.epochs) == (0.4, 10, "finished", 4)
    assert same(world.weights(), snapshots[1])
    assert not same(world.weights(), snapshots[3])
    assert not world.model.training


def test_patience_stops_and_restores() -> None:
    result, snapshots, world = scripted([0.1, 0.4, 0.2, 0.4, 0.9, 0.9], patience=2)
    assert (result.reason, result.epochs, len(snapshots)) == ("patience", 4, 4)
    assert same(world.weights(), snapshots[1])


def test_a_gain_must_exceed_the_minimum() -> None:
    result, snapshots, _ = scripted([0.1, 0.15, 0.19, 0.9], patience=2, minimum_gain=0.1)
    assert (result.reason, len(snapshots), result.best) == ("patience", 3, 0.1)


def test_nan_validation_is_never_best() -> None:
    result, _, _ = scripted([float("nan"), 0.2, float("nan")])
    assert result.best == 0.2


def test_averaged_weights_are_validated_and_returned() -> None:
    result, snapshots, world = scripted([0.1, 0.2], ema=0.5)
    assert result.best_step == 10
    assert same(world.weights(), snapshots[1])
    # By hand: the average of the weights that plain training goes through, with decay min(.5, (1+t)/(10+t)).
    other = World()
    trail = []

    def noting(batch, rng):
        trail.append(other.weights())
        return plain_step(other)(batch, rng)

    train(other.model, other.source, noting, TrainConfig(epochs=2), Run(device="cpu", quiet=True))
    trail.append(other.weights())
    mean = trail[0]["mix.weight"]
    for t, weights in enumerate(trail[1:]):
        decay = min(0.5, (1 + t) / (10 + t))
        mean = decay * mean + (1 - decay) * weights["mix.weight"]
    torch.testing.assert_close(world.weights()["mix.weight"], mean)


def test_missing_monitor_names_what_there_is() -> None:
    world = World()
    with pytest.raises(ConfigError, match=r"no metric 'ndcg@10'.*it has mse"):
        train(
            world.model, world.source, world.step, TrainConfig(epochs=1), Run(device="cpu", quiet=True),
            validate=world.validate,
        )  # fmt: skip


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_loss_that_is_not_finite_names_the_step_and_spares_the_weights(bad: float, tmp_path: Path) -> None:
    world = World()
    calls = 0

    def step(batch, rng):
        nonlocal calls
        calls += 1
        output = plain_step(world)(batch, rng)
        return StepOutput(output.loss_sum * (bad if calls == 4 else 1), 8, 8)

    with pytest.raises(TrainingError, match=f"the loss became {bad} at step 3"):
        train(world.model, world.source, step, TrainConfig(epochs=2), Run(tmp_path, device="cpu", quiet=True))
    assert all(torch.isfinite(tensor).all() for tensor in world.weights().values())


def test_gradient_that_is_not_finite_names_the_step() -> None:
    world = World()

    def step(batch, rng):
        value = world.model(batch).sum()
        return StepOutput(torch.sqrt((value - value.detach()) ** 2), 1, 1)  # finite, with an infinite slope

    with pytest.raises(TrainingError, match="gradient norm became nan at step 0"):
        train(world.model, world.source, step, TrainConfig(epochs=1), Run(device="cpu", quiet=True))


def test_batch_without_weight_moves_nothing() -> None:
    world = World()
    before = world.weights()

    def step(batch, rng):
        return StepOutput((world.model(batch) * 0).sum(), 0, len(batch.y))

    config = TrainConfig(epochs=1, weight_decay=0.0)
    train(world.model, world.source, step, config, Run(device="cpu", quiet=True))
    assert same(before, world.weights())


def test_same_seed_same_weights_other_seed_other_weights() -> None:
    worlds = [World(seed=s, dropout=0.5) for s in (1, 1, 2)]
    for world in worlds:
        world.train(TrainConfig(epochs=1))
    assert same(worlds[0].weights(), worlds[1].weights())
    assert not same(worlds[0].weights(), worlds[2].weights())


def test_bf16_keeps_weights_fp32_and_runs_matrices_in_bf16() -> None:
    world = World()
    kinds = set()
    world.model.mix.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    train(
        world.model, world.source, plain_step(world), TrainConfig(epochs=1, precision="bf16"),
        Run(device="cpu", quiet=True),
    )  # fmt: skip
    assert kinds == {torch.bfloat16}
    assert {tensor.dtype for tensor in world.weights().values()} == {torch.float32}


def test_records_hold_exact_means(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    source = ShuffledRows(10, 4, lambda rows, rng: rows, seed=0)

    def step(rows, rng):
        total = float(rows.sum())
        return StepOutput(
            model.weight.sum() * 0 + total, len(rows), len(rows), {"square": float((rows**2).sum())}
        )

    config = TrainConfig(epochs=2, log_every_steps=100, learning_rate=0.5, warmup_steps=4)
    result = train(model, source, step, config, Run(tmp_path, device="cpu", quiet=True))
    first, second = read_metrics(tmp_path / "metrics.jsonl")
    assert (first["step"], first["epoch"], first["loss"], first["square"]) == (3, 1, 4.5, 28.5)
    assert (second["step"], second["loss"]) == (6, 4.5)
    assert first["learning_rate"] == 0.5 * 3 / 4
    assert (result.examples, result.steps, result.loss) == (20, 6, 4.5)
    assert result.losses == [{"step": 3, "loss": 4.5}, {"step": 6, "loss": 4.5}]


def test_long_learning_curves_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bowerbird.learn.train.state._MOST_POINTS", 10)
    model = nn.Linear(1, 1)
    source = ShuffledRows(14, 1, lambda rows, rng: rows, seed=0)

    def step(rows, rng):
        return StepOutput(model.weight.sum() * 0 + float(rows[0]), 1, 1)

    config = TrainConfig(epochs=1, log_every_steps=1)
    result = train(model, source, step, config, Run(device="cpu", quiet=True))
    # At the eleventh point every second one stays; then the next ones are added.
    assert [p["step"] for p in result.losses] == [2, 4, 6, 8, 10, 12, 13, 14]


def test_steps_end_in_the_middle_of_an_epoch_and_are_validated(tmp_path: Path) -> None:
    world = World()
    result = world.train(TrainConfig(steps=7, validate_every_epochs=0), tmp_path)
    assert (result.steps, result.epochs, [h["step"] for h in result.history]) == (7, 1, [7])


def test_time_budget_ends_training_with_a_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("bowerbird.learn.train.loop.time.perf_counter", lambda: float(next(clock)))
    result = World().train(TrainConfig(epochs=50, max_minutes=1, validate_every_epochs=0))
    # Ten seconds a step, and ten to find that the epoch of five steps is over: the sixth step begins at 60 s.
    assert (result.reason, result.steps, len(result.history)) == ("time", 6, 1)


def test_empty_source_is_an_error() -> None:
    class Empty:
        def __len__(self):
            return 1

        def epoch(self, epoch, *, start=0, rank=0, world=1):
            return iter([])

    with pytest.raises(ConfigError, match="no batches in epoch 0"):
        train(nn.Linear(1, 1), Empty(), lambda b, r: None, TrainConfig(), Run(device="cpu", quiet=True))


def test_progress_shows_loss_speed_and_metric(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    world = World()
    run = Run(seed=0, device="cpu")
    train(
        world.model, world.source, world.step, TrainConfig(epochs=2), run, validate=world.validate,
        monitor="mse", mode="min",
    )  # fmt: skip
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert told[0].startswith("train: epoch 1, step 5: loss ")
    assert "mse" in told[0]
    World().train(TrainConfig(epochs=1))
    assert capsys.readouterr().err == ""
