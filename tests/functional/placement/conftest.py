"""A Placement of its own for each test, in this process and over a real database.

`placement` runs over SQLite; `anywhere` runs the test over SQLite, MariaDB and PostgreSQL, whose
servers are started once per run and whose absence is an error.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.functional.placement.cloud import Placement, configure

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tools"))

from throwaway_databases import MariaDB, PostgreSQL

from nova.placement import sync_database

KINDS = ("sqlite", "mariadb", "postgresql")


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with tables and standard names, to be copied."""
    home = tmp_path_factory.mktemp("placement-template")
    database = home / "placement.sqlite"
    sync_database(configure(home, f"sqlite:///{database}"))
    return database


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    server = MariaDB()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    server = PostgreSQL()
    yield server
    server.stop()


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path) -> Callable[[str], str]:
    """Makes a database of a kind, without tables unless it is SQLite; its URL."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{shutil.copy(empty_sqlite, tmp_path / 'placement.sqlite')}"
        return request.getfixturevalue(kind).new_database()

    return make


@pytest.fixture
def placement(tmp_path: Path, new_database: Callable[[str], str]) -> Placement:
    return Placement(tmp_path, new_database("sqlite"))


@pytest.fixture(params=KINDS)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str]) -> Placement:
    url = new_database(request.param)
    if request.param != "sqlite":
        sync_database(configure(tmp_path, url))
    return Placement(tmp_path, url)
