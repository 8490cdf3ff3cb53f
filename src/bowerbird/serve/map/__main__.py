"""The layout as a process: vectors come in as .npy on stdin, places go out as .npy on stdout."""

from __future__ import annotations

import io
import os
import sys

import numpy as np

from bowerbird.serve.map.child import NICE
from bowerbird.serve.map.layout import layout


def main() -> None:
    """Reads, lays out, writes; whoever answers requests on this machine goes first."""
    if hasattr(os, "nice"):
        os.nice(NICE)
    vectors_ND = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    made = io.BytesIO()
    np.save(made, layout(vectors_ND, seed=int(sys.argv[1])), allow_pickle=False)
    sys.stdout.buffer.write(made.getbuffer())


if __name__ == "__main__":
    main()
