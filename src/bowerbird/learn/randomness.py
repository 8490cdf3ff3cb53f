"""Every random stream of a run: seeded, derived by name, captured and put back.

Three kinds of stream:

* the global generators of Python, numpy and torch (weights, dropout), seeded per process and part of
  checkpoints;
* :func:`derived` streams: a function of the seed and a few integers, so they need no saved state;
* :func:`step_generator`: the derived torch stream that a step function gets, the same on every process.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import torch

_MASK = 0xFFFF_FFFF_FFFF_FFFF


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed the global generators of Python, numpy and torch (all devices).

    Args:
        seed: the run's seed, >= 0.
        rank: the process; each gets streams of its own.
    """
    words = np.random.SeedSequence([seed & _MASK, rank, 0x5EED]).generate_state(3, np.uint32)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))


def derived(seed: int, *keys: int) -> np.random.Generator:
    """A numpy generator that depends on nothing but the seed and the keys (all >= 0)."""
    # With the number of keys, as trailing zeros would otherwise not count.
    return np.random.default_rng(np.random.SeedSequence([seed & _MASK, len(keys), *keys]))


def step_generator(seed: int, epoch: int, batch: int, device: torch.device) -> torch.Generator:
    """The torch generator of one batch: the same on all processes, and the same after a resume.

    Args:
        seed: the run's seed.
        epoch, batch: which batch, counted from 0.
        device: where its numbers are made.
    """
    word = int(np.random.SeedSequence([seed & _MASK, epoch, batch, 0x57E9]).generate_state(1, np.uint32)[0])
    return torch.Generator(device=device).manual_seed(word)


def capture(device: torch.device) -> dict[str, torch.Tensor]:
    """The state of the global generators as tensors: the CPU's, and the CUDA device's where one is used."""
    kind, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    if kind != "MT19937":
        raise RuntimeError(f"the global numpy generator is {kind}, expected MT19937")
    _, python_words, python_gauss = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.from_numpy(np.append(np.asarray(words, np.int64), [position, has_gauss])),
        "numpy_gauss": torch.tensor([gauss], dtype=torch.float64),
        "python": torch.tensor(python_words, dtype=torch.int64),
        "python_gauss": torch.tensor([python_gauss is not None, python_gauss or 0.0], dtype=torch.float64),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore(state: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Put back what :func:`capture` took; the CUDA stream is left alone if it was not captured."""
    torch.set_rng_state(state["torch"])
    words = state["numpy"].numpy()
    gauss = float(state["numpy_gauss"][0])
    np.random.set_state(("MT19937", words[:-2].astype(np.uint32), int(words[-2]), int(words[-1]), gauss))
    has_python_gauss, python_value = state["python_gauss"].tolist()
    python_gauss = python_value if has_python_gauss else None
    random.setstate((3, tuple(int(w) for w in state["python"].tolist()), python_gauss))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
