"""The graph on disk: one CSR a directed relation, memory-mapped, behind one manifest."""

from bowerbird.graph.store.graph import Graph
from bowerbird.graph.store.manifest import SCHEMA_VERSION, GraphManifest
from bowerbird.graph.store.relation import UNDATED, Relation

__all__ = ["SCHEMA_VERSION", "UNDATED", "Graph", "GraphManifest", "Relation"]
