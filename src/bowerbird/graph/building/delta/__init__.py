"""Growing a graph: new edges are appended as deltas, and merged when it suits."""

from bowerbird.graph.building.delta.append import append_edges
from bowerbird.graph.building.delta.merge import merge_deltas

__all__ = ["append_edges", "merge_deltas"]
