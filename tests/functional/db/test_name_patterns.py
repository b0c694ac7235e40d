"""A pattern finds the same servers over every database, and no database reads it."""

import sys
import uuid
from pathlib import Path

import pytest

from nova import errors
from nova.clock import utcnow
from nova.db import instances, migrations
from nova.db.engine import Database
from nova.structs.flavor import Flavor
from nova.structs.instance import Instance, VmState
from nova.structs.requests import ServerQuery

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway

NAMES = ("web-1", "Web-2", "größe", "a.b", "a" * 255)


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def database(request):
    with throwaway(request.param) as url:
        migrations.sync(url)
        database = Database(url)
        for name in NAMES:
            database.write(lambda c, name=name: instances.add(c, server(name)))
        yield database
        database.close()


def server(name):
    return Instance(
        id=0, uuid=str(uuid.uuid4()), project_id="p", user_id="u", name=name, hostname="one", vm_state=VmState.ACTIVE,
        flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64), created_at=utcnow(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web", {"web-1"}),
        ("(?i)web", {"web-1", "Web-2"}),
        (r"\d$", {"web-1", "Web-2"}),
        ("gr..e", {"größe"}),
        (r"a\.b", {"a.b"}),
        ("(a+)+b", set()),
        ("", set(NAMES)),
    ],
)
def test_names(database, pattern, found):
    query = ServerQuery(project_id="p", name_pattern=pattern)

    assert {one.name for one in database.read(lambda c: instances.find(c, query))} == found


@pytest.mark.parametrize("pattern", ["[[:<:]]web", "[", r"\bweb\1", "(?=web)", "*"])
def test_a_pattern_of_some_databases_is_refused_by_all(database, pattern):
    with pytest.raises(errors.Invalid):
        database.read(lambda c: instances.find(c, ServerQuery(name_pattern=pattern)))


def test_pages_follow_the_order(database):
    first = database.read(lambda c: instances.find(c, ServerQuery(project_id="p", name_pattern="e", limit=2)))

    query = ServerQuery(project_id="p", name_pattern="e", marker=first[-1].uuid)
    rest = database.read(lambda c: instances.find(c, query))

    assert [one.name for one in first + rest] == ["größe", "Web-2", "web-1"]


def test_a_marker_of_another_project_is_none(database):
    others = database.write(lambda c: instances.add(c, server("other")))
    database.write(lambda c: instances.change(c, others.uuid, project_id="q"))

    with pytest.raises(errors.Invalid):
        database.read(lambda c: instances.find(c, ServerQuery(project_id="p", marker=others.uuid)))
