"""A simulated platform with known truth: a test oracle and a load generator, never a substitute for real data.

store = simulate("store", 200_000, seed=0)    # a store, with a `truth` folder inside
truth = Truth.open("store")                   # oracle probabilities, propensities, rings, identities
for tables in stream(1_000_000, seed=0): ...  # chunks of the public tables, for load tests
SimulationConfig                              # every knob, explained
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bowerbird.tables.simulate.config import ACTIONS, NEGATIVE_ACTIONS, SURFACES, SimulationConfig

if TYPE_CHECKING:
    from bowerbird.tables.simulate.chunks import stream
    from bowerbird.tables.simulate.simulator import simulate
    from bowerbird.tables.simulate.truth import ANY, Truth

__all__ = [
    "ACTIONS",
    "ANY",
    "NEGATIVE_ACTIONS",
    "SURFACES",
    "SimulationConfig",
    "Truth",
    "simulate",
    "stream",
]

_HOMES = {"simulate": "simulator", "stream": "chunks", "ANY": "truth", "Truth": "truth"}


def __getattr__(name: str) -> Any:
    """Load the compiled parts on first use: reading the knobs must not wait for a compiler."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
