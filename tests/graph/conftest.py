"""Hundreds of tiny graphs are built here: waiting for the disk each time would be all that these tests do."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def no_waiting_for_the_disk() -> Iterator[None]:
    """Flushing to the disk does nothing; what a power cut leaves behind is not what these tests are about."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda handle: None)
    yield
    patch.undo()
