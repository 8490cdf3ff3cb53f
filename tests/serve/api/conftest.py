"""One application with keys for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bowerbird.serve.engine import Engine
from serve.api.fakes import Served, served


@pytest.fixture
def door(engine: Engine) -> Iterator[Served]:
    with served(engine) as found:
        yield found
