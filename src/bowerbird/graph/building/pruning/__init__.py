"""Degree pruning: the rule, the random numbers behind it, and the kernels that apply it."""

from bowerbird.graph.building.pruning.rule import Pruning

__all__ = ["Pruning"]
