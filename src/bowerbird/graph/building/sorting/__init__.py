"""From edges in any order to a sorted, merged CSR on disk, in bounded memory."""

from bowerbird.graph.building.sorting.csr import CSRFiles, CSRWriter
from bowerbird.graph.building.sorting.runs import Run, merge_duplicates
from bowerbird.graph.building.sorting.sorter import EdgeSorter

__all__ = ["CSRFiles", "CSRWriter", "EdgeSorter", "Run", "merge_duplicates"]
