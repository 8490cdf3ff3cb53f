"""Graphs of other people: edge lists as Parquet or CSV files, and PyTorch Geometric's `HeteroData`."""

from bowerbird.graph.interop.files import read_edges, write_edges
from bowerbird.graph.interop.geometric import from_geometric, to_geometric

__all__ = ["from_geometric", "read_edges", "to_geometric", "write_edges"]
