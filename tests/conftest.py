"""Before anything is imported: one thread a test process, and threads that sleep while they wait.

Two cores shared by several test processes spend most of their time in spinning barriers otherwise.
"""

from __future__ import annotations

import os

for name, value in {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "COLUMNS": "160",
}.items():
    os.environ.setdefault(name, value)

# A test never touches what a person's shell has set for torchrun or for a demo folder.
for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "BOWERBIRD_DEMO"):
    os.environ.pop(name, None)

# One hypothesis profile for everybody: examples that take long on a busy machine are not failures.
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("bowerbird", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bowerbird")
