"""A network host, guests on it, and two projects of which one means harm."""

import pytest

from tests.functional.network.conftest import empty_database, make_network_host
from tests.functional.network.world import make_world

__all__ = ["empty_database", "make_network_host"]


@pytest.fixture
def world(make_network_host, tmp_path):
    world = make_world(make_network_host, tmp_path)
    yield world
    world.close()


@pytest.fixture
def victim(world):
    return world.cloud.project("victim")


@pytest.fixture
def attacker(world):
    return world.cloud.project("attacker")


@pytest.fixture
def api(make_network_host):
    """Records alone, where the network host does not matter."""
    return make_network_host(my_ip="10.99.0.7", reserved_ranges=["10.77.0.0/16", "2001:db8:77::/48"])


@pytest.fixture
def open_to_all():
    """Makes a group of a project's that lets everything in."""

    def make(project):
        group = project.create("security-groups", name="open")
        project.create("security-group-rules", security_group_id=group["id"], direction="ingress")
        return {"security_groups": [group["id"]], "project": project}

    return make
