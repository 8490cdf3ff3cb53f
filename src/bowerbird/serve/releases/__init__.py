"""Releases: immutable folders that servers open, activate, follow and go back through.

```python
release = publish("model", store, root)                    # builds the index, verifies, activates
releases = Releases(root)
opened = releases.open(releases.active().id, store)        # verified and memory-mapped
generator = opened.generator()
releases.rollback()
```
"""

from bowerbird.serve.releases.publishing import publish
from bowerbird.serve.releases.release import Release, ReleaseError
from bowerbird.serve.releases.releases import OpenedRelease, Releases
from bowerbird.serve.releases.swap import Swap, SwapClosedError
from bowerbird.serve.releases.watcher import Watcher

__all__ = [
    "OpenedRelease",
    "Release",
    "ReleaseError",
    "Releases",
    "Swap",
    "SwapClosedError",
    "Watcher",
    "publish",
]
