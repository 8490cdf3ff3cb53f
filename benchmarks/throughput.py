"""Training speed of PinRec with the switches of a SASRec against RecTools' SASRecModel, side by side on Amazon Beauty.

Same sequences (leave-last-out training part), width 128, depth 2, 2 heads, length 50, 128 users a step, 256 negatives,
same number of threads. RecTools gets an environment of its own. Both sides are processes that wait while the other
one works; arms take turns in every round. An example is a position with a loss (a target that is not padding).
Results go to ``docs/results/throughput.json``.

    python benchmarks/throughput.py --path FOLDER          # FOLDER: sequences.parquet, item_attributes.parquet
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SETTINGS: dict[str, Any] = {
    "width": 128, "layers": 2, "heads": 2, "length": 50, "users": 128, "negatives": 256, "dropout": 0.2,
    "learning_rate": 1e-3,
}  # fmt: skip
"""What both sides share."""

DIFFERENCES = [
    "Negatives: RecTools draws 256 items for every position (its CatalogUniformSampler); Bowerbird draws 256 items per "
    "step and shares them among the positions of the step, with a logQ correction and masking of the user's own items. "
    "The softmax of a position has 257 terms on both sides. This is the largest difference; the full-softmax arms "
    "(the whole catalogue, RecTools' default loss) have none.",
    "Padding: RecTools pads every history to 50; Bowerbird batches histories of similar length and pads to the "
    "longest of the batch, and takes the loss at real positions only. A Bowerbird step therefore has a fixed number of "
    "positions and 128 users on average. Beauty has 5.7 targets a user, so this alone saves much; slots_per_second "
    "counts padding too and shows how much.",
    "Precision: Bowerbird's default is bf16 autocast with fp32 weights; RecTools' default is fp32. Bowerbird runs in "
    "both; RecTools too with --rectools-bf16 (Lightning's bf16-mixed).",
    "Feed-forward width: 512 in Bowerbird (4x), 128 in RecTools (its SASRec has 1x, and no setting for it). "
    "Bowerbird also has an output head and normalised item vectors: it computes more per position.",
    "Loading: Bowerbird builds the next batch in a thread while the step runs; RecTools' default loads in the loop.",
]


@dataclass(frozen=True)
class Arm:
    """One thing to time.

    Attributes:
        side: ``bowerbird`` or ``rectools``.
        loss: ``sampled`` or ``full``.
        precision: ``fp32`` or ``bf16``.
        batches: timed steps per round; 0 = one epoch.
    """

    side: str
    loss: str
    precision: str
    batches: int

    @property
    def name(self) -> str:
        """A key for results."""
        return f"{self.side}_{self.loss}_{self.precision}"

    def request(self, seed: int) -> dict[str, Any]:
        """What the side's process is asked for."""
        loss, precision = self.loss, self.precision
        if self.side == "rectools":
            loss = {"sampled": "sampled_softmax", "full": "softmax"}[loss]
            precision = {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]
        return {"loss": loss, "precision": precision, "batches": self.batches, "seed": seed}


# --- Bowerbird's side --------------------------------------------------------------------------------------------


def answer() -> None:
    """Bowerbird's process: one JSON request per line in, one JSON line out."""
    import torch

    from bowerbird.tables.store import Store
    from bowerbird.tables.view import leave_last_out

    settings = json.loads(sys.stdin.readline())
    torch.set_num_threads(settings["threads"])
    view = leave_last_out(Store.open(settings["store"])).train
    hello = {"versions": {"torch": torch.__version__, "numpy": np.__version__}, "threads": torch.get_num_threads()}
    print(json.dumps(hello), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(view, settings, json.loads(line))), flush=True)


def measure(view: Any, settings: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    """Train a new model through the library's training loop; the clock starts after the warm steps."""
    import torch

    from bowerbird.learn.run import Run
    from bowerbird.learn.train import StepOutput, TrainConfig, train
    from bowerbird.nn import frequency_counter
    from bowerbird.nn.features.catalogue import CatalogueEncoder
    from bowerbird.recommend.config import PinRecConfig
    from bowerbird.recommend.examples import PinRecBatch, PinRecExamples
    from bowerbird.recommend.inputs.conditions import Conditions
    from bowerbird.recommend.retrieval.opened import OpenPinRec

    users, positions = _mean_users(view, settings["length"])
    config = replace(
        PinRecConfig(),
        width=settings["width"], item_dim=settings["width"], layers=settings["layers"], heads=settings["heads"],
        history_length=settings["length"], windows="last", dropout=settings["dropout"],
        embedding_dropout=settings["dropout"], random_negatives=settings["negatives"], in_batch_negatives=0,
        all_negatives=arm["loss"] == "full", batch_positions=round(settings["users"] * positions / users),
    ).sasrec()  # fmt: skip
    conditions = Conditions.of(view)
    examples = PinRecExamples(view, config, conditions, seed=arm["seed"])
    counter = frequency_counter(view.n_items)
    for (item,) in view.positives.columns("item"):
        counter.update(torch.from_numpy(item.astype(np.int64)))
    torch.manual_seed(arm["seed"])
    model = OpenPinRec.network(
        config, conditions, CatalogueEncoder.fit(view.item_table()), view,
        counter.log_probability(torch.arange(view.n_items)), facts={},
    )  # fmt: skip
    done = {"examples": 0, "users": 0, "slots": 0, "batches": 0}
    clock = [0.0, 0.0]
    steps = count()

    def step(batch: PinRecBatch, rng: torch.Generator) -> StepOutput:
        number = next(steps)
        if number == settings["warm"]:
            clock[:] = time.perf_counter(), time.process_time()
        loss = model.loss(batch, rng)
        if number >= settings["warm"]:
            done["examples"] += len(batch.window)
            done["users"] += len(batch.tokens.lengths)
            done["slots"] += batch.tokens.item.numel()
            done["batches"] += 1
        return StepOutput(loss.total, loss.weight.detach(), len(batch.window))

    wanted = settings["warm"] + arm["batches"] if arm["batches"] else len(examples)
    train_config = TrainConfig(
        steps=wanted, learning_rate=settings["learning_rate"], weight_decay=config.weight_decay,
        betas=(0.9, 0.98), precision=arm["precision"],
    )  # fmt: skip
    train(model, examples, step, train_config, Run(seed=arm["seed"], device="cpu", quiet=True))
    seconds, cpu = time.perf_counter() - clock[0], time.process_time() - clock[1]
    parameters = sum(p.numel() for p in model.parameters())
    return {**done, "seconds": seconds, "cpu_seconds": cpu, "parameters": parameters}


def _mean_users(view: Any, length: int) -> tuple[int, int]:
    """Users with a target, and targets of their last windows."""
    sizes = np.bincount(view.positives.user)
    targets = np.minimum(sizes[sizes >= 2] - 1, length)
    return len(targets), int(targets.sum())


# --- RecTools' environment ---------------------------------------------------------------------------------------


def make_environment(folder: Path) -> Path:
    """A virtual environment with RecTools and the CPU build of torch; an existing one is used again.

    The torch of this environment is asked for, so that both sides run the same one. ``UV_FIND_LINKS`` and
    ``PIP_FIND_LINKS`` may name a folder of wheels.

    Returns:
        Its Python.
    """
    import torch

    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    wanted = torch.__version__.split("+")[0]
    environment = dict(os.environ)
    if links := environment.get("UV_FIND_LINKS") or environment.get("PIP_FIND_LINKS"):
        environment["UV_FIND_LINKS"] = links
    else:
        environment["UV_TORCH_BACKEND"] = "cpu"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--clear", str(folder)], check=True, env=environment)
    # RecTools asks for numpy 1.x on some Pythons, which later pyarrow releases refuse at import
    packages = ["rectools[torch]", f"torch=={wanted}", "pyarrow<20"]
    subprocess.run(
        [*uv, "pip", "install", "--quiet", "--python", str(python), *packages], check=True, env=environment
    )
    (folder / "ready").touch()
    return python


# --- the comparison ----------------------------------------------------------------------------------------------


class Side:
    """A process that measures when it is asked and sleeps otherwise."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, Any]) -> None:
        self._name = " ".join(command)
        threads = str(settings["threads"])
        environment = os.environ | {
            "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads,
            "CUDA_VISIBLE_DEVICES": "",
        }  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.hello = self.ask(settings)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with status {self._process.wait()}")
        answered: dict[str, Any] = json.loads(line)
        return answered

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def sides(python: Path, settings: Mapping[str, Any]) -> Iterator[dict[str, Side]]:
    """Both processes, started and ready."""
    started = {
        "bowerbird": Side([sys.executable, str(HERE / "throughput.py"), "--answer"], settings),
        "rectools": Side([str(python), str(HERE / "throughput_rectools.py")], settings),
    }
    try:
        yield started
    finally:
        for side in started.values():
            side.close()


def rates(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median and range over rounds, by wall clock and by processor time."""
    out: dict[str, Any] = {"parameters": rounds[0]["parameters"], "batches_per_round": rounds[0]["batches"]}
    for name, unit, clock in (
        ("examples_per_second", "examples", "seconds"),
        ("users_per_second", "users", "seconds"),
        ("slots_per_second", "slots", "seconds"),
        ("examples_per_cpu_second", "examples", "cpu_seconds"),
    ):
        out[name] = spread([r[unit] / r[clock] for r in rounds])
    return out


def ratio(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], unit: str, clock: str
) -> dict[str, Any]:
    """Units per second, ours over theirs, round by round."""
    pairs = zip(ours, theirs, strict=True)
    return spread([(a[unit] / a[clock]) / (b[unit] / b[clock]) for a, b in pairs])


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, minimum, maximum."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", type=Path, help="folder of Amazon Beauty sequences (see `bowerbird ingest`)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--threads", type=int, default=2, help="torch threads of each side")
    parser.add_argument("--batches", type=int, default=20, help="timed RecTools batches a round, sampled loss")
    parser.add_argument("--full-batches", type=int, default=10, help="timed batches a round, full softmax")
    parser.add_argument("--warm", type=int, default=3, help="untimed batches at the start of every measurement")
    parser.add_argument("--rectools-bf16", action="store_true", help="run RecTools in bf16 as well")
    parser.add_argument("--environment", type=Path, help="where RecTools is installed, kept (default: a temp folder)")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer()
        return
    if options.path is None:
        parser.error("--path is needed: the folder of Amazon Beauty sequences")
    with tempfile.TemporaryDirectory(prefix="bowerbird-throughput-") as folder:
        compare(options, Path(folder))


def arms_of(options: argparse.Namespace) -> list[Arm]:
    """What is timed, in the order of a round: the sides take turns."""
    arms = []
    for loss, ours, theirs in (("sampled", 0, options.batches), ("full", options.full_batches, options.full_batches)):
        arms += [Arm("bowerbird", loss, "bf16", ours), Arm("rectools", loss, "fp32", theirs)]
        arms.append(Arm("bowerbird", loss, "fp32", ours))
        if options.rectools_bf16:
            arms.append(Arm("rectools", loss, "bf16", theirs))
    return arms


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Prepare data and environment, run all rounds, write the result."""
    import polars as pl

    from bowerbird.tables.datasets import load_dataset
    from bowerbird.tables.view import leave_last_out
    from results import write

    store = load_dataset("amazon", options.path, folder / "store")
    rows = leave_last_out(store).train.positives
    sequences = {"user": rows.user, "item": rows.item, "time": rows.time}
    pl.DataFrame({k: np.asarray(v) for k, v in sequences.items()}).write_parquet(folder / "sequences.parquet")
    python = make_environment(options.environment or folder / "rectools")
    shared = SETTINGS | {"threads": options.threads, "warm": options.warm}
    settings = shared | {"store": str(folder / "store"), "sequences": str(folder / "sequences.parquet")}
    arms = arms_of(options)
    measured: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in arms}
    load = []
    with sides(python, settings) as running:
        for round_number in range(options.rounds):
            load.append(os.getloadavg()[0])
            for arm in arms:
                found = running[arm.side].ask(arm.request(round_number))
                measured[arm.name].append(found)
                speed = found["examples"] / found["seconds"], found["examples"] / found["cpu_seconds"]
                print(
                    f"round {round_number + 1} {arm.name}: {speed[0]:,.0f} examples/s, {speed[1]:,.0f} per CPU second",
                    flush=True,
                )
        hello = {name: side.hello for name, side in running.items()}
    ratios: dict[str, dict[str, Any]] = {}
    for theirs in (arm for arm in arms if arm.side == "rectools"):
        for ours in (arm for arm in arms if arm.side == "bowerbird" and arm.loss == theirs.loss):
            pair = measured[ours.name], measured[theirs.name]
            ratios[f"{ours.name} / {theirs.name}"] = {
                "examples_per_second": ratio(*pair, "examples", "seconds"),
                "examples_per_cpu_second": ratio(*pair, "examples", "cpu_seconds"),
                "slots_per_cpu_second": ratio(*pair, "slots", "cpu_seconds"),
            }
    write(
        "throughput", store, config=shared,
        protocol=(
            f"{options.rounds} rounds, all arms in turn in each; one process a side, {options.threads} threads; "
            "loss positions (targets that are not padding) per second of forward, backward, optimiser and batch "
            f"building, after {options.warm} untimed batches; median, min and max over rounds; ratios round by "
            "round. Bowerbird's sampled arms run a whole epoch a round, since its batches differ in length. Threads "
            "and versions of the two sides are in `sides`; `threads` and `torch` above are this script's."
        ),
        differences=DIFFERENCES,
        machine={"cores": os.cpu_count(), "load_average_at_rounds": load,
                 "note": "cpu = processor time of the process: other work on the machine moves it far less"},
        sides=hello, ratios=ratios, arms={name: rates(found) for name, found in measured.items()}, rounds=measured,
    )  # fmt: skip
    for name, found in ratios.items():
        print(name, {k: {s: round(v, 2) for s, v in clock.items()} for k, clock in found.items()})


if __name__ == "__main__":
    main()
