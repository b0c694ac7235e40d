"""Every operation beside a real Neutron, Cinder and Glance: it ends well, and leaves nothing anywhere.

The stand-ins accept what a test needs; these accept what they accept. Only the hypervisors are fake.
"""

import pytest

from tests.functional.actions.history import history
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import SETUPS

# What makes a volume driver, or a share service, ask for these.
STAND_INS = {"extend_volume", "volume_snapshot_create", "volume_snapshot_delete"}

# Neutron grants rights to projects by UUID alone.
SERVICE = "0b5a6d3cf3c94f0f9d0e7d7a4c1b2e3f"
PARTNER = "6f0f1c5e1d4c4a5c9c0a3b7f2d9e8a10"


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


def test_an_external_network_for_one_project_gives_addresses_to_that_project_alone(make_cloud, real_neutron):
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)
    network = {"name": "partners", "router:external": True}
    network_id = real_neutron.ask("POST", "/networks", {"network": network}, "admin:operator")["network"]["id"]
    subnet = {"network_id": network_id, "cidr": "198.51.100.0/24", "ip_version": 4, "enable_dhcp": False}
    real_neutron.ask("POST", "/subnets", {"subnet": subnet}, "admin:operator")
    for policy in real_neutron.ask("GET", f"/rbac-policies?object_id={network_id}")["rbac_policies"]:
        real_neutron.ask("DELETE", f"/rbac-policies/{policy['id']}")
    grant = {
        "object_type": "network", "object_id": network_id, "action": "access_as_external", "target_tenant": PARTNER,
    }  # fmt: skip
    real_neutron.ask("POST", "/rbac-policies", {"rbac_policy": grant}, "admin:operator")
    partner, stranger = (cloud.client(project=name, version="2.1") for name in (PARTNER, "stranger"))

    pools = [user.get("/os-floating-ip-pools").json()["floating_ip_pools"] for user in (partner, stranger)]
    refused = stranger.post("/os-floating-ips", {"pool": "partners"})
    given = partner.post("/os-floating-ips", {"pool": "partners"})

    assert pools == [[{"name": "partners"}], []]
    assert refused.status_code == 404
    assert given.json()["floating_ip"]["pool"] == "partners"


@pytest.fixture
def shared(make_cloud, real_neutron):
    """A cloud with a host, and what another project shares with the partner alone: a network, a security group."""
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)
    cloud.add_host()
    owner = "owner:owner"
    made = {
        "network": real_neutron.ask("POST", "/networks", {"network": {"name": "backbone"}}, owner)["network"]["id"],
        "security_group": real_neutron.ask("POST", "/security-groups", {"security_group": {"name": "watched"}}, owner)[
            "security_group"
        ]["id"],
    }
    subnet = {"network_id": made["network"], "cidr": "10.40.0.0/24", "ip_version": 4}
    real_neutron.ask("POST", "/subnets", {"subnet": subnet}, owner)
    for kind, object_id in made.items():
        grant = {
            "object_type": kind, "object_id": object_id, "action": "access_as_shared", "target_tenant": PARTNER,
        }  # fmt: skip
        real_neutron.ask("POST", "/rbac-policies", {"rbac_policy": grant}, owner)
    return cloud, made["network"], made["security_group"]


def test_what_is_shared_with_one_project_is_used_by_that_project_alone(shared):
    cloud, network_id, group_id = shared
    partner, stranger, admin = (cloud.client(*who) for who in (("u", PARTNER), ("u", "stranger"), ("admin", "admin")))
    wanted = {"networks": [{"uuid": network_id}], "security_groups": [{"name": group_id}]}

    server = partner.create_server(**wanted)
    groups = partner.get(f"/servers/{server['id']}/os-security-groups").json()["security_groups"]
    own = stranger.create_server(networks="none")
    refused = [
        stranger.post("/servers", {"server": stranger.wanted(networks=wanted["networks"])}),
        stranger.post("/servers", {"server": stranger.wanted(security_groups=wanted["security_groups"])}),
        partner.post("/servers", {"server": partner.wanted(**{**wanted, "security_groups": [{"name": "watched"}]})}),
        admin.post(f"/servers/{own['id']}/action", {"addSecurityGroup": {"name": group_id}}),
    ]

    assert list(server["addresses"]) == ["backbone"]
    assert [group["name"] for group in groups] == ["watched"]
    assert [answer.status_code for answer in refused] == [400, 400, 400, 404]


def test_what_is_shared_with_one_project_is_shown_to_it_alone(shared):
    cloud, network_id, group_id = shared
    partner, stranger = (cloud.client("u", project, version="2.1") for project in (PARTNER, "stranger"))
    paths = (f"/os-networks/{network_id}", f"/os-tenant-networks/{network_id}", f"/os-security-groups/{group_id}")

    lists = [[each["id"] for each in user.get("/os-networks").json()["networks"]] for user in (partner, stranger)]
    shown = [[user.get(path).status_code for path in paths] for user in (partner, stranger)]
    removed = partner.delete(f"/os-security-groups/{group_id}")

    assert lists == [[network_id], []]
    assert shown == [[200] * 3, [404] * 3]
    assert removed.status_code == 404


def test_what_is_shared_with_the_compute_service_is_not_everybodys(make_cloud, real_neutron):
    """To the service that asks, the Networking API calls shared what somebody shares with its own project."""
    cloud = make_cloud(f"\n[neutron]\ntoken = admin:{SERVICE}\n")
    cloud.stand_beside(neutron=real_neutron)
    cloud.add_host()
    network = real_neutron.ask("POST", "/networks", {"network": {"name": "evil"}}, "m:mallory")["network"]["id"]
    real_neutron.ask(
        "POST", "/subnets", {"subnet": {"network_id": network, "cidr": "64.0.0.0/2", "ip_version": 4}}, "m:mallory"
    )
    for target in (SERVICE, PARTNER):
        grant = {"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": target}
        real_neutron.ask("POST", "/rbac-policies", {"rbac_policy": grant}, "m:mallory")
    everybodys = real_neutron.ask("POST", "/networks", {"network": {"name": "all", "shared": True}}, "admin:operator")
    victim = cloud.client("u", "victim", version="2.36")
    wanted = {name: value for name, value in victim.wanted().items() if name != "networks"}

    listed = cloud.client("u", "victim", version="2.1").get("/os-networks").json()["networks"]
    server_id = victim.post("/servers", {"server": wanted}).json()["server"]["id"]

    assert [each["id"] for each in listed] == [everybodys["network"]["id"]]
    assert victim.wait(server_id, "ACTIVE")["addresses"] == {}
    refused = victim.post("/servers", {"server": victim.wanted(networks=[{"uuid": network}])})
    assert refused.status_code == 400


def test_a_strangers_network_is_no_default_pool(make_cloud, real_neutron):
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)
    real_neutron.add_automatic_topology()
    for number in range(4):
        body = {"network": {"name": "public"}}
        decoy = real_neutron.ask("POST", "/networks", body, "m:mallory")["network"]["id"]
        subnet = {"network_id": decoy, "cidr": f"10.69.{number}.0/24", "ip_version": 4, "enable_dhcp": False}
        real_neutron.ask("POST", "/subnets", {"subnet": subnet}, "m:mallory")
        grant = {
            "object_type": "network", "object_id": decoy, "action": "access_as_external", "target_tenant": PARTNER,
        }  # fmt: skip
        real_neutron.ask("POST", "/rbac-policies", {"rbac_policy": grant}, "m:mallory")
    partner = cloud.client("u", PARTNER, version="2.1")

    given = [partner.post("/os-floating-ips", body).json()["floating_ip"]["ip"] for body in ({}, {"pool": "public"})]

    assert [ip.rpartition(".")[0] for ip in given] == ["203.0.113"] * 2


def test_nobody_brings_servers_of_others_onto_a_network_by_sharing_it(shared, real_neutron):
    cloud, _, _ = shared
    own = real_neutron.ask("POST", "/networks", {"network": {"name": "own"}}, f"u:{PARTNER}")["network"]["id"]
    real_neutron.ask(
        "POST", "/subnets", {"subnet": {"network_id": own, "cidr": "10.41.0.0/24", "ip_version": 4}}, f"u:{PARTNER}"
    )

    partner = cloud.client("u", PARTNER, version="2.36")
    wanted = {name: value for name, value in partner.wanted().items() if name != "networks"}
    server_id = partner.post("/servers", {"server": wanted}).json()["server"]["id"]
    server = partner.wait(server_id, "ACTIVE")

    assert list(server["addresses"]) == ["own"]
