"""A connection that breaks around COMMIT: work is done once, or its caller hears that nobody knows. And a crowd of them."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova import errors
from nova.db.engine import Database
from tests.functional.tcp_proxy import TcpProxy

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def url(request):
    with throwaway(request.param) as url:
        database = Database(url)
        database.write(lambda c: c.exec_driver_sql("CREATE TABLE things (name VARCHAR(20))"))
        database.close()
        yield sa.make_url(url)


@pytest.fixture
def proxy(url):
    proxy = TcpProxy(url.port)
    yield proxy
    proxy.close()


@pytest.fixture
def database(url, proxy):
    database = Database(url.set(port=proxy.port).render_as_string(hide_password=False))
    database.write(lambda c: c.exec_driver_sql("DELETE FROM things"))
    yield database
    database.close()


class Work:
    """Adds a thing, and counts how often it was asked to."""

    def __init__(self):
        self.runs = 0

    def __call__(self, connection):
        self.runs += 1
        connection.exec_driver_sql("INSERT INTO things VALUES ('thing')")


@pytest.fixture
def work():
    return Work()


def things(database):
    return database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM things").scalar())


def test_a_commit_that_is_done_and_not_answered_is_not_done_again(database, proxy, work):
    proxy.break_at("COMMIT", is_word_forwarded=True)

    with pytest.raises(errors.OutcomeUnknown, match="unknown"):
        database.write(work)

    assert (work.runs, things(database)) == (1, 1)


def test_a_commit_that_never_arrives_is_as_unknown_to_its_caller(database, proxy, work):
    proxy.break_at("COMMIT", is_word_forwarded=False)

    with pytest.raises(errors.OutcomeUnknown, match="unknown"):
        database.write(work)

    assert (work.runs, things(database)) == (1, 0)


def test_work_that_may_be_repeated_is_done_again(database, proxy, work):
    proxy.break_at("COMMIT", is_word_forwarded=False)

    database.write(work, is_repeatable=True)

    assert (work.runs, things(database)) == (2, 1)


@pytest.mark.parametrize("is_word_forwarded", [False, True])
def test_work_whose_connection_breaks_before_the_commit_is_done_again(database, proxy, work, is_word_forwarded):
    proxy.break_at("INSERT", is_word_forwarded)

    database.write(work)

    assert (work.runs, things(database)) == (2, 1)


def test_a_database_that_is_away_is_told_in_words(url):
    nobody = TcpProxy(url.port)
    nobody.close()
    database = Database(url.set(port=nobody.port).render_as_string(hide_password=False))

    with pytest.raises(errors.Unavailable, match="The database is not available: it does not answer"):
        things(database)
    with pytest.raises(errors.Unavailable, match="it does not answer"):
        database.check().look()


def test_missing_tables_are_told_with_the_command_that_makes_them(database):
    with pytest.raises(errors.Unavailable, match="nova-manage db sync"):
        database.read(lambda c: c.exec_driver_sql("SELECT * FROM nothing"))


def test_the_connections_of_a_peak_are_kept_for_the_next(url, database):
    crowd = 20
    number = "CONNECTION_ID()" if url.get_backend_name() == "mysql" else "pg_backend_pid()"
    together = threading.Barrier(crowd)

    def connection_number(connection):
        together.wait(60)
        return connection.exec_driver_sql(f"SELECT {number}").scalar()

    def peak():
        with ThreadPoolExecutor(crowd) as pool:
            return set(pool.map(lambda _: database.read(connection_number), range(crowd)))

    assert peak() == peak()
