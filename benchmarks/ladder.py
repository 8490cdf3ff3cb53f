"""What KV reuse, 16-bit numbers, FlexAttention, compiling and CUDA graphs each make of the ranking pass.

The paper's shapes: 656 candidates against a history of 992 events, 12 layers. Rungs take turns in every round; a ratio
is that of two passes of one round, its median and quartiles over the rounds. What every rung finds is compared with the
first one's. Weights are untrained: what is timed does not depend on them.
Results go to ``docs/results/ladder_DEVICE.json``.

    python benchmarks/ladder.py                      # the GPU where there is one
    python benchmarks/ladder.py --device cpu --width 256 --heads 4

Shapes: B rows, N history tokens, K candidates, D width.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bowerbird.nn import AttentionKernel, Decoder, DecoderConfig, candidate_mask
from results import write

HISTORY, CANDIDATES, LAYERS = 992, 656, 12
WIDTH = {"cuda": (768, 12), "cpu": (128, 4)}
"""Width and heads by device: 768 is the paper's, two cores get a narrower one."""


@dataclass(frozen=True)
class Rung:
    """One way to score the candidates.

    Attributes:
        name: How the row is called.
        history: Read in one pass of N + K tokens and one mask, in one pass but apart from the candidates, or cached.
        low: Weights, keys and values in bfloat16.
        attention: How candidates attend.
        compiled: By torch.compile, and in which mode.
    """

    name: str
    history: Literal["masked", "apart", "cached"] = "cached"
    low: bool = False
    attention: AttentionKernel = "sdpa"
    compiled: Literal["", "default", "reduce-overhead"] = ""


def rungs(device: str) -> list[Rung]:
    """The ladder, from the bottom."""
    cached = Rung("+ cached history")
    low = replace(cached, name="+ bfloat16", low=True)
    found = [Rung("one pass, one mask", "masked"), Rung("+ history apart", "apart"), cached, low]
    if device == "cuda":  # a CPU has no such kernel but inside a compiled pass
        found.append(replace(low, name="+ FlexAttention", attention="flex"))
    compiled = replace(low, name="+ compiled", compiled="default")
    found += [compiled, replace(compiled, name="+ compiled, FlexAttention", attention="flex")]
    if device == "cuda":
        graphs = replace(low, name="+ compiled, CUDA graphs", compiled="reduce-overhead")
        found += [graphs, replace(graphs, name="+ compiled, FlexAttention, CUDA graphs", attention="flex")]
    return found


class Pass:
    """The candidates and histories of one measurement, and passes over them.

    Args:
        config: The decoder's shape.
        batch, n, k: B, N and K.
        device: Where.
        seed: Of weights and tokens.
    """

    def __init__(self, config: DecoderConfig, batch: int, n: int, k: int, device: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.decoder = Decoder(config, "sdpa").eval().to(device)
        self.x_BND = torch.randn(batch, n, config.width).to(device)
        self.x_BKD = torch.randn(batch, k, config.width).to(device)
        self.lengths_B = torch.full((batch,), n, device=device)
        self.n = n

    def of(self, rung: Rung) -> Callable[[], Tensor]:
        """What gives the hidden states (B, K, D) of the candidates."""
        decoder, dtype = copy.deepcopy(self.decoder), torch.bfloat16 if rung.low else torch.float32
        decoder.to(dtype).attention = rung.attention
        x_BND, x_BKD = self.x_BND.to(dtype), self.x_BKD.to(dtype)
        if rung.history == "masked":
            return lambda: masked(decoder, x_BND, self.lengths_B, x_BKD)
        if rung.history == "apart":
            return lambda: decoder(x_BND, self.lengths_B, x_BKD)[1]
        _, cache = decoder.prefill(x_BND, self.lengths_B)
        pattern = decoder.pattern_of(self.lengths_B[:, None], self.n, x_BKD.shape[1])
        score: Callable[..., Tensor] = decoder.score
        if rung.compiled:
            score = torch.compile(decoder.score, dynamic=False, mode=rung.compiled)
        return lambda: score(x_BKD, cache, used=self.n, pattern=pattern)


def masked(decoder: Decoder, x_BND: Tensor, lengths_B: Tensor, x_BKD: Tensor) -> Tensor:
    """The candidates after their history in one stream, one boolean mask over all of it: the way without any care."""
    n, k = x_BND.shape[1], x_BKD.shape[1]
    mask = candidate_mask(lengths_B, n, k)[:, None]
    shared_B1D = decoder.positions(lengths_B)[:, None]
    x = torch.cat([x_BND + decoder.positions.weight[:n], x_BKD + shared_B1D], dim=1)
    for block in decoder.blocks:
        q, key, value = block.project(x)
        x = block.finish(x, F.scaled_dot_product_attention(q, key, value, attn_mask=mask))
    return decoder.norm(x)[:, n:]


@torch.inference_mode()
def measure(made: Pass, ladder: list[Rung], rounds: int, device: str) -> list[dict[str, Any]]:
    """The rows of the table."""
    passes, first, rows = {}, None, []
    for rung in ladder:
        began = time.perf_counter()
        passes[rung.name] = made.of(rung)
        for _ in range(3):  # compiles, and records what CUDA graphs replay
            found = passes[rung.name]().float().clone()
        first = found if first is None else first
        cosine = F.cosine_similarity(found, first, dim=-1)
        rows.append(
            asdict(rung) | {
                "prepared_s": time.perf_counter() - began,
                "largest_difference": float((found - first).abs().max()), "least_cosine": float(cosine.min()),
            }
        )  # fmt: skip
        print(f"prepared {rung.name}: {rows[-1]['prepared_s']:.1f} s", flush=True)
    took = {name: np.empty(rounds) for name in passes}
    for number in range(rounds):
        names = list(passes)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            took[name][number] = timed(passes[name], device)
    for row in rows:
        own = took[row["name"]]
        row |= {"ms": spread(own), "p90_ms": float(np.percentile(own, 90))}
        row["over_first"] = spread(took[ladder[0].name] / own)
    return rows


def timed(one: Callable[[], Tensor], device: str) -> float:
    """Milliseconds of a pass, all of its work done."""
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    one()
    if device == "cuda":
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - began)


def spread(values: np.ndarray) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {"median": float(middle), "q25": float(low), "q75": float(high)}


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=sorted(WIDTH), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--width", type=int, default=0, help="of the decoder; by device when left out")
    parser.add_argument("--heads", type=int, default=0, help="likewise")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--history", type=int, default=HISTORY, help="tokens of a history")
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--batch", type=int, default=1, help="histories scored together")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch, on a CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print", action="store_true", help="print only, write no file")
    options = parser.parse_args(words)
    width, heads = WIDTH[options.device]
    options.width, options.heads = options.width or width, options.heads or heads
    return options


def main() -> None:
    """Command line."""
    options = options_of()
    torch.set_num_threads(options.threads)
    config = DecoderConfig(
        width=options.width, layers=options.layers, heads=options.heads, max_positions=options.history + 32
    )
    before = os.getloadavg()[0]
    made = Pass(config, options.batch, options.history, options.candidates, options.device, options.seed)
    rows = measure(made, rungs(options.device), options.rounds, options.device)
    for row in rows:
        ratio = row["over_first"]["median"]
        print(f"{row['name']:<40} {row['ms']['median']:9.2f} ms  x{ratio:.2f}  cosine {row['least_cosine']:.6f}")
    if options.print:
        return
    machine = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} cores"
    path = write(
        f"ladder_{options.device}", None, config=config, seed=options.seed, device=machine, rungs=rows,
        shape={"history": options.history, "candidates": options.candidates, "batch": options.batch},
        rounds=options.rounds, load_average_before=before, load_average_after=os.getloadavg()[0],
        summary=f"Ranking pass by rungs ({machine}): "
        + ", ".join(f"{row['name']} {row['ms']['median']:.1f} ms" for row in rows),
    )  # fmt: skip
    print(path)


if __name__ == "__main__":
    main()
