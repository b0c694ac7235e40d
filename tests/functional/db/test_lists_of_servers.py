"""A list of servers is the same over every database: whom its tags find, and its pages by every sort key."""

import sys
import uuid
from pathlib import Path

import pytest

from nova.api.compute.server_filters import _SORT_KEYS
from nova.clock import utcnow
from nova.db import instances, migrations
from nova.db.engine import Database
from nova.structs.flavor import Flavor
from nova.structs.instance import Instance, VmState
from nova.structs.requests import ServerQuery

sys.path.insert(0, str(Path(__file__).parent.parent.parent.parent / "tools"))

from throwaway_databases import database as throwaway

TAGS = {"small": ("red", "50%_"), "capital": ("Red",), "none": ()}


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def database(request):
    with throwaway(request.param) as url:
        migrations.sync(url)
        database = Database(url)
        for number, (name, tags) in enumerate(TAGS.items()):
            server = Instance(
                id=0, uuid=str(uuid.uuid4()), project_id="p", user_id="u", name=name, hostname="one",
                vm_state=VmState.ACTIVE, flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=64),
                created_at=utcnow(), tags=tags, is_locked=number != 1, task_state="deleting" if number else None,
            )  # fmt: skip
            database.write(lambda c, server=server: instances.add(c, server))
        yield database
        database.close()


def found(database, **fields):
    return database.read(lambda c: instances.find(c, ServerQuery(project_id="p", **fields)))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"tags": ["red"]}, ["small"]),
        ({"tags": ["Red"]}, ["capital"]),
        ({"tags": ["RED"]}, []),
        ({"tags": ["re"]}, []),
        ({"tags": ["red", "50%_"]}, ["small"]),
        ({"tags": ["50%%"]}, []),
        ({"tags_any": ["RED", "Red"]}, ["capital"]),
        ({"not_tags": ["Red"]}, ["none", "small"]),
        ({"not_tags_any": ["red", "Red"]}, ["none"]),
    ],
    ids=str,
)
def test_tags_that_differ_in_case_differ(database, fields, names):
    assert sorted(one.name for one in found(database, **fields)) == names


@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("key", sorted(filter(None, _SORT_KEYS.values())))
def test_pages_by_any_sort_key_show_every_server_once(database, key, direction):
    sort = [(key, direction), ("id", direction)]
    whole = [one.uuid for one in found(database, sort=sort)]

    pages, marker = [], None
    for _ in whole:
        [server] = found(database, sort=sort, limit=1, marker=marker)
        pages.append(marker := server.uuid)

    assert (pages, len(set(pages))) == (whole, len(TAGS))
    assert found(database, sort=sort, limit=1, marker=marker) == []
