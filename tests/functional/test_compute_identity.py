"""A machine that starts as another host than it is touches nothing, and says what to do."""

import copy
import uuid

import pytest

from nova import errors
from nova.cmd import manage
from nova.compute.compute_id import ComputeId
from nova.conf import BadConfiguration
from nova.structs.instance import PowerState
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers


@pytest.fixture
def machine(tmp_path):
    return tmp_path / "machine"


@pytest.fixture
def host(cloud, machine):
    cloud.add_host("host-1")
    cloud.stop_host("host-1")
    return cloud.start_host("host-1", machine)


@pytest.fixture
def admin(cloud):
    return cloud.client("admin", "admin")


@pytest.fixture
def server_id(cloud, host):
    server_id = cloud.client().create_server()["id"]
    cloud.write(server_id)
    return server_id


def rename(cloud, *words):
    parser = manage.parser()
    arguments = parser.parse_args(["host", "rename", *words])
    return arguments.command(cloud.conf, arguments)


def is_down(cloud, admin, name):
    """An operator's word, which comes sooner than the silence is noticed."""
    host = cloud._full(name)
    [service] = [one for one in admin.get("/os-services").json()["services"] if one["host"] == host]
    assert admin.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200


def test_a_machine_keeps_the_identity_it_registered_with(cloud, admin, machine, host):
    kept = (machine / "compute_id").read_text().strip()

    [hypervisor] = admin.get("/os-hypervisors").json()["hypervisors"]
    cloud.stop_host("host-1")
    cloud.start_host("host-1", machine)

    assert kept == hypervisor["id"]
    assert cloud.hosts["host-1"].refusal is None


def test_a_machine_that_was_given_its_identity_registers_with_it(cloud, admin, machine):
    given = str(uuid.uuid4())
    machine.mkdir()
    (machine / "compute_id").write_text(f"{given}\n")
    cloud.add_host("host-1", machine=machine)

    [hypervisor] = admin.get("/os-hypervisors").json()["hypervisors"]

    assert hypervisor["id"] == given


def test_a_machine_under_another_name_touches_no_guest(cloud, admin, machine, host, server_id):
    cloud.stop_host("host-1")
    cloud.rename_host("host-1", "host-2")

    cloud.start_host("host-2", machine)

    refusal = cloud.hosts["host-2"].refusal
    assert "nova-manage host rename" in refusal
    assert (host.guests[server_id].power_state, host.shelf.content(server_id)) == (
        PowerState.RUNNING,
        "what its user wrote",
    )
    assert [one["host"] for one in admin.get("/os-services?binary=nova-compute").json()["services"]] == [
        cloud._full("host-1")
    ]


def test_guests_stay_where_no_identity_gives_a_changed_name_away(cloud, admin, host, server_id):
    """The machine's file is gone, too: its guests belong to a host that is away."""
    cloud.stop_host("host-1")
    cloud.rename_host("host-1", "host-2")
    is_down(cloud, admin, "host-1")

    cloud.start_host("host-2")
    cloud.hosts["host-2"].agent._reap()

    assert (host.guests[server_id].power_state, host.shelf.content(server_id)) == (
        PowerState.RUNNING,
        "what its user wrote",
    )


def test_another_machine_does_not_take_a_hosts_name(cloud, machine, host, server_id, tmp_path):
    cloud.stop_host("host-1")
    other = tmp_path / "other"
    other.mkdir()
    (other / "compute_id").write_text(str(uuid.uuid4()))

    cloud.start_host("host-1", other)
    cloud.client().act(server_id, "os-stop")

    assert "compute_id" in cloud.hosts["host-1"].refusal
    assert host.guests[server_id].power_state is PowerState.RUNNING
    cloud.stop_host("host-1")
    cloud.start_host("host-1", machine)
    cloud.client().wait(server_id, "SHUTOFF")


def test_a_host_that_is_renamed_on_purpose_keeps_its_servers(cloud, admin, machine, host, server_id):
    user = cloud.client()
    old, new = cloud._full("host-1"), cloud._full("host-2")
    with pytest.raises(errors.Conflict, match="is up"):
        rename(cloud, old, new)
    cloud.stop_host("host-1")
    is_down(cloud, admin, "host-1")
    with pytest.raises(errors.DomainError, match="nowhere"):
        rename(cloud, "nowhere", new)

    assert rename(cloud, old, new, "--node", new) == 0
    cloud.rename_host("host-1", "host-2")
    [service] = admin.get("/os-services?binary=nova-compute").json()["services"]
    admin.put(f"/os-services/{service['id']}", {"forced_down": False})
    cloud.start_host("host-2", machine)

    assert cloud.hosts["host-2"].refusal is None
    assert admin.server(server_id)["OS-EXT-SRV-ATTR:host"] == new
    assert user.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    user.wait(server_id, "ACTIVE")
    assert leftovers(cloud) == []


def test_a_guest_of_a_server_nobody_knows_stays(cloud, host, server_id):
    stranger = str(uuid.uuid4())
    host.guests[stranger] = copy.copy(host.guests[server_id])

    cloud.hosts["host-1"].agent._reap()

    assert stranger in host.guests


def test_a_guest_whose_server_was_deleted_goes(cloud, host, server_id):
    guest, directory = host.guests[server_id], host.shelf.directories[server_id]
    cloud.client().delete(f"/servers/{server_id}")
    cloud.client().wait_gone(server_id)
    host.guests[server_id], host.shelf.directories[server_id] = guest, directory

    cloud.hosts["host-1"].agent._reap()

    wait(lambda: host.guests == {} and host.shelf.names() == [], "the guest is gone")


def test_files_that_contradict_each_other_are_not_believed(tmp_path):
    etc, state = tmp_path / "etc", tmp_path / "state"
    for directory in (etc, state):
        directory.mkdir()
        (directory / "compute_id").write_text(str(uuid.uuid4()))

    with pytest.raises(BadConfiguration, match="different hosts"):
        ComputeId(str(state), (str(etc / "nova.conf"),))
    (state / "compute_id").write_text("nonsense")
    with pytest.raises(BadConfiguration, match="no UUID"):
        ComputeId(str(state))
