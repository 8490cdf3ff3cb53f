"""From edges in any order to a sorted, merged CSR on disk, in bounded memory."""

from bowerbird.graph.build.sorting.csr import CSRFiles, CSRWriter
from bowerbird.graph.build.sorting.runs import Run, merge_duplicates
from bowerbird.graph.build.sorting.sorter import EdgeSorter

__all__ = ["CSRFiles", "CSRWriter", "EdgeSorter", "Run", "merge_duplicates"]
