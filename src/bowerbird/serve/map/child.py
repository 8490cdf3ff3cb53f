"""Lays items out in a process of its own: t-SNE holds the interpreter for many milliseconds at a time, and requests
would wait for it. It has one thread, goes behind everything else (nice), and ends with whoever started it."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import time

import numpy as np

from bowerbird.serve.map.layout import layout, method_for
from bowerbird.tables.errors import BowerbirdError

log = logging.getLogger("bowerbird.serve")

NICE = 10
"""How far it stands behind other processes."""
_LIMIT_S = 900.0
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class LayoutError(BowerbirdError):
    """The process that lays items out ended without a result."""


class Child:
    """Runs `layout` for one caller at a time; `stop` from any thread ends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def layout(self, vectors_ND: np.ndarray, *, seed: int) -> np.ndarray:
        """See `layout`; what takes no time at all is done right here.

        Raises:
            LayoutError: The process failed, took too long, or was stopped.
        """
        if method_for(len(vectors_ND)) == "pca":
            return layout(vectors_ND, seed=seed)
        given = io.BytesIO()
        np.save(given, np.ascontiguousarray(vectors_ND, np.float32), allow_pickle=False)
        began = time.monotonic()
        with self._lock:
            if self._stopped:
                raise LayoutError("nothing is laid out any more: the engine was closed")
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "bowerbird.serve.map", str(seed)], env={**os.environ, **_ONE_THREAD},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        try:
            out, said = process.communicate(given.getvalue(), timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise LayoutError(f"the layout took longer than {_LIMIT_S:.0f} s") from None
        finally:
            with self._lock:
                self._process = None
        if process.returncode != 0:
            raise LayoutError(
                f"the layout ended with status {process.returncode}: {said.decode(errors='replace')[-2000:]}"
            )
        log.info("%d items laid out in %.1f s", len(vectors_ND), time.monotonic() - began)
        return np.load(io.BytesIO(out), allow_pickle=False)

    def stop(self) -> None:
        """Ends what runs; nothing is started afterwards."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.terminate()
