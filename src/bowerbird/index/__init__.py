"""Nearest neighbours by inner product behind one interface: exact for small catalogues, approximate above.

```python
index = Index.build(vectors_ND, ids)            # kind chosen by size
hits = index.search(queries_QD, k=100, allowed=only_these, exclude=[seen_of_query_0, seen_of_query_1])
index.save(folder); index = Index.open(folder)  # memory-mapped
```
"""

from bowerbird.index.base import Index
from bowerbird.index.checks import VectorIndexError
from bowerbird.index.config import IndexConfig
from bowerbird.index.hits import Hits

__all__ = ["Hits", "Index", "IndexConfig", "VectorIndexError"]
