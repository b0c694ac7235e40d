"""Two daemons that write to two nodes of a Galera cluster: who comes second is refused at its COMMIT, and tries again."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from nova import conf as configuration
from nova import errors, placement
from nova.db.engine import Database
from nova.placement.database import Database as PlacementDatabase
from nova.placement.errors import Unavailable
from tests.functional.cloud import wait
from tests.functional.db.galera import Galera


@pytest.fixture(scope="module")
def cluster():
    cluster = Galera()
    yield cluster
    cluster.stop()


@pytest.fixture
def nodes(cluster):
    """The same table as two daemons see it, each through its own node."""
    one, two = (Database(url) for url in cluster.urls("counted"))
    with one.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE counted (id INTEGER PRIMARY KEY, number INTEGER)")
        connection.exec_driver_sql("INSERT INTO counted VALUES (1, 0)")
    wait(lambda: number_seen_by(two) == 0, "the other node has the row")
    yield one, two
    one.close()
    two.close()


def number_seen_by(node):
    try:
        return node.read(lambda c: c.exec_driver_sql("SELECT number FROM counted").scalar())
    except (errors.Unavailable, sa.exc.SQLAlchemyError):
        return None


def has_tables(database):
    try:
        return database.write(lambda c, version: (True, []))
    except Unavailable:
        return False


def test_a_transaction_that_comes_second_is_refused_at_its_commit_and_done_again(nodes):
    one, two = nodes
    attempts = []

    def add_one(connection):
        attempts.append(connection)
        connection.exec_driver_sql("UPDATE counted SET number = number + 1")
        if len(attempts) == 1:
            # No node locks a row for another: this commits, although the row is locked on the other node.
            one.write(lambda c: c.exec_driver_sql("UPDATE counted SET number = number + 10"))

    two.write(add_one)

    assert len(attempts) > 1
    assert number_seen_by(two) == 11


def test_placements_on_two_nodes_never_give_the_same_version_twice(cluster, tmp_path):
    urls = cluster.urls("placed")
    (tmp_path / "nova.conf").write_text(f"[placement_database]\nconnection = {urls[0]}\n")
    placement.sync_database(configuration.load([], [str(tmp_path / "nova.conf")]))
    databases = [PlacementDatabase(url) for url in urls]
    wait(lambda: has_tables(databases[1]), "the other node has the tables")

    with ThreadPoolExecutor(2) as pool:
        given = list(
            pool.map(lambda database: [database.write(lambda c, version: (version, [])) for _ in range(20)], databases)
        )

    versions = sorted(version for one in given for version in one)
    assert versions == list(range(versions[0], versions[0] + 40))
    for database in databases:
        database.close()
