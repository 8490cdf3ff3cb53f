"""Every test of the online history runs on SQLite and, where it can be started, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bowerbird.serve.online import OnlineHistory
from serve.online import postgresql

ACTIONS = ("click", "save", "hide")
SURFACES = ("home", "search")
NOW = 1_700_000_000_000
"""What the clock of every history of these tests says."""

Open = Callable[..., OnlineHistory]


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a PostgreSQL server."""
    if reason := postgresql.missing():
        pytest.skip(reason)
    with postgresql.cluster() as url:
        yield url


@pytest.fixture
def postgresql_url(server: str) -> Iterator[str]:
    """The address of an empty database of that server: a schema of its own, which is much quicker to make."""
    engine = sqlalchemy.create_engine(server.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS test CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA test")
    engine.dispose()
    yield f"{server}&options=-csearch_path%3Dtest"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return str(tmp_path / "online.sqlite")


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    """Opens histories of `url`, with the clock at `NOW`, and closes them in the end."""
    found: list[OnlineHistory] = []

    def open_history(**settings: object) -> OnlineHistory:
        given = {"actions": ACTIONS, "surfaces": SURFACES, "clock": lambda: NOW, **settings}
        found.append(OnlineHistory.open(given.pop("url", url), **given))  # type: ignore[arg-type]
        return found[-1]

    yield open_history
    for history in found:
        history.close()


@pytest.fixture
def history(opened: Open) -> OnlineHistory:
    return opened()
