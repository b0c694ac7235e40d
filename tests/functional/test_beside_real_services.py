"""Every operation beside a real Neutron, Cinder and Glance: it ends well, and leaves nothing anywhere.

The stand-ins accept what a test needs; these accept what they accept. Only the hypervisors are fake.
"""

import pytest

from tests.functional.actions.history import history
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import SETUPS

# What makes a volume driver, or a share service, ask for these.
STAND_INS = {"extend_volume", "volume_snapshot_create", "volume_snapshot_delete"}


@pytest.fixture
def begin(make_cloud, real_neutron, real_cinder, real_glance):
    """Start a cloud with settings, and three hosts, beside the real services; give it and an administrator."""
    clouds = []

    def begin(operation):
        cloud = make_cloud(SETUPS[operation].settings)
        cinder = None if operation in STAND_INS else real_cinder
        cloud.stand_beside(neutron=real_neutron, cinder=cinder, glance=real_glance)
        real_glance.add()
        cloud.add_network()
        for number in range(3):
            cloud.add_host(f"host-{number}")
        clouds.append(cloud)
        return cloud, cloud.client("admin", "project")

    yield begin
    for cloud in clouds:
        settle(cloud)
        assert leftovers(cloud) == []


@pytest.mark.parametrize("operation", SETUPS)
def test_an_operation_ends_well(begin, operation):
    cloud, user = begin(operation)
    set_up = SETUPS[operation]
    server_id = set_up.server_id(user)

    answer = set_up.ask(user, server_id)

    assert answer.status_code < 300, answer.text
    server_id = server_id or answer.json()["server"]["id"]
    settle(cloud)
    server = user.server(server_id)
    assert (server and server["status"]) in set(set_up.ends_in) - {"ERROR"}
    assert server is None or "fault" not in server, server["fault"]
    assert {state for _, state in history(cloud, server_id)} == {"succeeded"}


def test_a_project_without_a_network_gets_one(make_cloud, real_neutron):
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)
    real_neutron.add_automatic_topology()
    cloud.add_host()
    user = cloud.client("user", "new project")

    servers = [user.create_server(networks="auto", name=name) for name in ("first", "second")]

    assert [list(server["addresses"]) for server in servers] == [["auto_allocated_network"]] * 2
    assert servers[0]["addresses"] != servers[1]["addresses"]
