"""The services around the cloud are away, overloaded, slow or something else altogether.

A request that needs one of them at once is answered 503 in words that say who is away, and leaves nothing
half-made. One that needs none is answered as ever. What becomes of accepted requests is in
test_accepted_in_bad_weather.py.
"""

import re
import time

import pytest
from sqlalchemy import func, select

from nova.db.models import Base
from tests.functional.cloud import wait
from tests.functional.invariants import leftovers
from tests.functional.wsgi_adapter import FAULTS, LOSES_ANSWERS

# What a service is called in messages, by its address.
NEIGHBOURS = {
    "http://image": "The Image service",
    "http://volume": "The Block Storage service",
    "http://network": "The Networking service",
    "http://share": "The Shared File Systems service",
    "http://placement": "Placement",
    "http://identity": "The Identity service",
}
AWAY = [fault for fault in FAULTS if fault not in (None, "is slow")]
# Nothing a user can make sense of: exceptions, addresses, objects, and what others say in their own formats.
INTERNAL = re.compile(r"Error\b|Exception|Traceback|https?://|object at|Errno|Pool|<html|bonjour|nova\.|host-1")

SETTINGS = """
[DEFAULT]
rpc_response_timeout = 20
[conductor]
step_pauses_s = 0.05, 0.2
[glance]
timeout = 0.2
[cinder]
timeout = 0.2
[neutron]
timeout = 0.2
[manila]
timeout = 0.2
[placement]
timeout = 0.2
[keystone]
timeout = 0.2
"""


class Place:
    """A cloud with a server, a volume, a network: whatever the requests below are about."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.user = cloud.client("admin", "project")
        self.old = cloud.client("admin", "project", version="2.1")
        self.image_id = next(iter(cloud.glance.images))
        self.network_id = self._network("private", "10.1.0.0/16")
        self._network("public", "172.24.4.0/24", **{"router:external": True})
        self.server_id = self.user.create_server(networks=[{"uuid": self.network_id}])["id"]
        self.stopped_id = self.user.create_server(networks="none", name="stopped")["id"]
        self.user.act(self.stopped_id, "os-stop")
        self.user.wait(self.stopped_id, "SHUTOFF")
        self.volume_id = cloud.cinder.add()
        self.snapshot_id = cloud.cinder.add_snapshot(self.volume_id)
        cloud.cinder.snapshots[self.snapshot_id]["progress"] = "100%"
        self.share_id = cloud.manila.add()
        body = {"security_group": {"name": "web", "description": "web"}}
        self.group_id = self.old.post("/os-security-groups", body).json()["security_group"]["id"]
        self.aggregate_id = self.user.post("/os-aggregates", {"aggregate": {"name": "all"}}).json()["aggregate"]["id"]
        self.user.post(
            f"/os-aggregates/{self.aggregate_id}/action", {"add_host": {"host": cloud.hypervisor("host-1").name}}
        )
        self.root_volume_id = cloud.cinder.add(bootable="true")
        self.from_volume_id = self._server_from_volume()
        # Not in use, so that its nova-compute may be taken away.
        cloud.add_host("spare")
        cloud.stop_host("spare")
        [service] = self.user.get(f"/os-services?host={cloud.name}-spare").json()["services"]
        self.service_id = service["id"]
        assert self.user.put(f"/os-services/{self.service_id}", {"forced_down": True}).status_code == 200

    def _network(self, name, cidr, **facts):
        wanted = {"name": name, "shared": True, **facts}
        network = self.user.post("/v2.0/networks", {"network": wanted}, url="http://network").json()["network"]
        subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 4}
        assert self.user.post("/v2.0/subnets", {"subnet": subnet}, url="http://network").status_code == 201
        return network["id"]

    def _server_from_volume(self):
        wanted = self.from_volume({"source_type": "volume", "uuid": self.root_volume_id})
        return self.user.wait(self.user.post("/servers", wanted).json()["server"]["id"], "ACTIVE")["id"]

    def from_volume(self, *devices):
        first, *others = [{"destination_type": "volume", **one} for one in devices]
        wanted = self.user.wanted(networks="none", block_device_mapping_v2=[{**first, "boot_index": 0}, *others])
        return {"server": {key: value for key, value in wanted.items() if key != "imageRef"}}

    def everything(self):
        """What there is, here and in the other services, in numbers."""
        cloud = self.cloud
        with cloud.db.engine.connect() as connection:
            ours = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar()
                for table in Base.metadata.sorted_tables
                # What was asked of the cloud is kept; what became of it is what counts.
                if table.name not in ("events", "operation_events", "console_tokens")
            }
        theirs = {
            "images": sorted(uuid for uuid, image in cloud.glance.images.items() if image["status"] != "active"),
            "volumes": sorted(cloud.cinder.volumes),
            "snapshots": sorted(cloud.cinder.snapshots),
            "attachments": sorted(cloud.cinder.attachments),
            "rules": sorted(cloud.manila.rules),
            "locks": sorted(cloud.manila.locks),
        }
        return ours | theirs


def creates_a_server(place):
    return place.user.post("/servers", {"server": place.user.wanted(networks="none", image=place.cloud.glance.add())})


def creates_a_server_on_a_network(place):
    networks = [{"uuid": place.network_id, "fixed_ip": "10.1.9.9"}]
    return place.user.post("/servers", {"server": place.user.wanted(networks=networks)})


def creates_a_server_on_whatever_network_there_is(place):
    somebody = place.cloud.client("somebody", f"project-{time.monotonic_ns()}")
    return somebody.post("/servers", {"server": somebody.wanted(networks="auto")})


def creates_a_server_in_a_group(place):
    wanted = place.user.wanted(networks="none", security_groups=[{"name": "web"}])
    return place.user.post("/servers", {"server": wanted})


def creates_a_server_from_a_volume(place):
    wanted = place.from_volume({"source_type": "volume", "uuid": place.volume_id})
    return place.user.post("/servers", wanted)


def creates_a_server_from_a_blank_volume(place):
    wanted = place.user.wanted(
        networks="none",
        block_device_mapping_v2=[
            {"source_type": "image", "destination_type": "local", "uuid": place.image_id, "boot_index": 0},
            {"source_type": "blank", "destination_type": "volume", "volume_size": 1},
        ],
    )
    return place.user.post("/servers", {"server": wanted})


def _image(name):
    return lambda place: place.old.get(name.format(place.image_id))


def _old(method, path, body=None):
    """A request of version 2.1, whose path may name things of the place."""
    return lambda place: place.old.request(method, path.format_map(vars(place)), body and body(place))


def acts(name, argument=None, on="server_id"):
    return lambda place: place.old.act(getattr(place, on), name, argument and argument(place))


_GROUP = {"security_group": {"name": "new", "description": "new"}}

# Every kind of request that asks another service before it is answered.
REQUESTS = {
    "http://image": {
        "create server": creates_a_server,
        "rebuild": acts("rebuild", lambda place: {"imageRef": place.cloud.glance.add()}),
        "rescue": lambda place: place.user.act(
            place.server_id, "rescue", {"rescue_image_ref": place.cloud.glance.add()}
        ),
        "createImage": acts("createImage", lambda _: {"name": "copy"}),
        "createBackup": acts("createBackup", lambda _: {"name": "b", "backup_type": "daily", "rotation": 1}),
        "list images": _old("GET", "/images"),
        "list images in detail": _old("GET", "/images/detail"),
        "show image": _old("GET", "/images/{image_id}"),
        "delete image": _old("DELETE", "/images/{image_id}"),
        "image metadata": _old("GET", "/images/{image_id}/metadata"),
        "set image metadata": _old("PUT", "/images/{image_id}/metadata", lambda _: {"metadata": {"a": "b"}}),
        "cache images": lambda place: place.user.post(
            f"/os-aggregates/{place.aggregate_id}/images", {"cache": [{"id": place.cloud.glance.add()}]}
        ),
    },
    "http://network": {
        "create server on a network": creates_a_server_on_a_network,
        "create server on any network": creates_a_server_on_whatever_network_there_is,
        "create server in a security group": creates_a_server_in_a_group,
        "attach interface": lambda place: place.user.post(
            f"/servers/{place.server_id}/os-interface",
            {"interfaceAttachment": {"net_id": place.network_id, "fixed_ips": [{"ip_address": "10.1.9.8"}]}},
        ),
        "list networks": _old("GET", "/os-networks"),
        "show network": _old("GET", "/os-networks/{network_id}"),
        "list networks of the project": _old("GET", "/os-tenant-networks"),
        "list pools": _old("GET", "/os-floating-ip-pools"),
        "list floating IPs": _old("GET", "/os-floating-ips"),
        "allocate floating IP": _old("POST", "/os-floating-ips", lambda _: {"pool": "public"}),
        "associate floating IP": acts("addFloatingIp", lambda _: {"address": "172.24.4.9"}),
        "list security groups": _old("GET", "/os-security-groups"),
        "show security group": _old("GET", "/os-security-groups/{group_id}"),
        "create security group": _old("POST", "/os-security-groups", lambda _: _GROUP),
        "update security group": _old("PUT", "/os-security-groups/{group_id}", lambda _: _GROUP),
        "delete security group": _old("DELETE", "/os-security-groups/{group_id}"),
        "create security group rule": _old(
            "POST",
            "/os-security-group-rules",
            lambda place: {
                "security_group_rule": {
                    "parent_group_id": place.group_id,
                    "ip_protocol": "tcp",
                    "from_port": "80",
                    "to_port": "80",
                    "cidr": "0.0.0.0/0",
                }
            },
        ),
        "security groups of a server": _old("GET", "/servers/{server_id}/os-security-groups"),
        "add security group": acts("addSecurityGroup", lambda _: {"name": "web"}),
        "remove security group": acts("removeSecurityGroup", lambda _: {"name": "default"}),
    },
    "http://volume": {
        "create server from a volume": creates_a_server_from_a_volume,
        "create server from a blank volume": creates_a_server_from_a_blank_volume,
        "attach volume": lambda place: place.user.post(
            f"/servers/{place.server_id}/os-volume_attachments", {"volumeAttachment": {"volumeId": place.volume_id}}
        ),
        "createImage of volumes": acts("createImage", lambda _: {"name": "copy"}, "from_volume_id"),
        "list volumes": _old("GET", "/os-volumes"),
        "show volume": _old("GET", "/os-volumes/{volume_id}"),
        "create volume": _old("POST", "/os-volumes", lambda _: {"volume": {"size": 1}}),
        "delete volume": _old("DELETE", "/os-volumes/{volume_id}"),
        "list snapshots": _old("GET", "/os-snapshots"),
        "show snapshot": _old("GET", "/os-snapshots/{snapshot_id}"),
        "create snapshot": _old(
            "POST", "/os-snapshots", lambda place: {"snapshot": {"volume_id": place.volume_id, "force": True}}
        ),
        "delete snapshot": _old("DELETE", "/os-snapshots/{snapshot_id}"),
    },
    "http://share": {
        "attach share": lambda place: place.user.post(
            f"/servers/{place.stopped_id}/shares", {"share": {"share_id": place.share_id}}
        ),
    },
    "http://placement": {
        "explain": lambda place: place.user.post(
            "/scheduling/explain", {"server": place.user.wanted(networks="none", flavor="m1.small")}
        ),
        "delete compute service": lambda place: place.user.delete(f"/os-services/{place.service_id}"),
    },
}


@pytest.fixture(scope="module")
def place(make_module_cloud):
    cloud = make_module_cloud(SETTINGS)
    cloud.add_host()
    return Place(cloud)


@pytest.fixture(autouse=True)
def good_weather_afterwards(place):
    yield
    for adapter in place.cloud.adapters.values():
        adapter.fault = None


@pytest.mark.parametrize("fault", AWAY)
@pytest.mark.parametrize("address, name", [(address, name) for address in REQUESTS for name in REQUESTS[address]])
def test_a_request_that_needs_a_service_says_that_it_is_away_and_makes_nothing(place, address, name, fault):
    ask = REQUESTS[address][name]
    before = place.everything()
    quota = place.user.get("/limits").json()
    place.cloud.adapters[address].fault = fault

    began = time.monotonic()
    answer = ask(place)
    took_s = time.monotonic() - began

    if answer.status_code == 401:
        # The service asked is the one that says so of the user's own token.
        assert fault == "denies our credentials"
        assert set(answer.json()) == {"unauthorized"}
    else:
        assert answer.status_code == 503, answer.text
        [(key, content)] = answer.json().items()
        assert (key, content["code"]) == ("serviceUnavailable", 503)
        assert content["message"].startswith(f"{NEIGHBOURS[address]} is not available: it")
        assert content["message"].endswith("Try again later.")
        assert not INTERNAL.search(content["message"])
    assert took_s < 2
    place.cloud.adapters[address].fault = None
    assert place.everything() == before
    assert place.user.get("/limits").json() == quota
    assert leftovers(place.cloud) == []


READS = (
    "/servers",
    "/servers/detail",
    "/servers/{server_id}",
    "/servers/{server_id}/ips",
    "/servers/{server_id}/metadata",
    "/servers/{server_id}/tags",
    "/servers/{server_id}/os-interface",
    "/servers/{server_id}/os-volume_attachments",
    "/servers/{server_id}/os-instance-actions",
    "/servers/{server_id}/scheduling",
    "/servers/{server_id}/diagnostics",
    "/flavors/detail",
    "/flavors/m1.tiny",
    "/os-keypairs",
    "/os-server-groups",
    "/os-aggregates",
    "/os-availability-zone/detail",
    "/os-hypervisors/detail",
    "/os-services",
    "/os-quota-sets/project/detail",
    "/os-simple-tenant-usage",
    "/limits",
)
CHANGES = {
    "name": lambda user, server_id: user.put(f"/servers/{server_id}", {"server": {"name": "renamed"}}),
    "metadata": lambda user, server_id: user.post(f"/servers/{server_id}/metadata", {"metadata": {"a": "b"}}),
    "lock": lambda user, server_id: user.act(server_id, "lock"),
    "unlock": lambda user, server_id: user.act(server_id, "unlock"),
    "keypair": lambda user, _: user.post("/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}}),
    "flavor": lambda user, _: user.post("/flavors", {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 0}}),
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGgEd0m1JnRSqIWlN8yvFMYO7LJ4TPoWLP4iSHcU0kRr one@two"


@pytest.fixture
def nobody_answers(place):
    for adapter in (place.cloud.adapters[address] for address in NEIGHBOURS):
        adapter.fault = "never answers"


@pytest.mark.parametrize("path", READS)
def test_what_needs_no_other_service_is_read_while_all_are_away(place, nobody_answers, path):
    began = time.monotonic()
    answer = place.user.get(path.format_map(vars(place)))

    assert answer.status_code == 200, answer.text
    assert time.monotonic() - began < 0.2


@pytest.mark.parametrize("name", CHANGES)
def test_what_needs_no_other_service_is_changed_while_all_are_away(place, nobody_answers, name):
    assert CHANGES[name](place.user, place.server_id).status_code < 300


@pytest.mark.parametrize("actions", [("os-stop", "os-start"), ("pause", "unpause"), ("suspend", "resume")])
def test_a_server_changes_its_power_while_all_are_away(place, nobody_answers, actions):
    away, back = actions

    place.user.act(place.server_id, away)
    off = place.user.wait(place.server_id, "SHUTOFF", "PAUSED", "SUSPENDED")
    place.user.act(place.server_id, back)

    assert off and place.user.wait(place.server_id, "ACTIVE")


def test_slow_services_are_waited_for(place):
    for address in NEIGHBOURS:
        place.cloud.adapters[address].fault = "is slow"

    server = place.user.create_server(networks=[{"uuid": place.network_id}])
    place.user.delete(f"/servers/{server['id']}")

    place.user.wait_gone(server["id"])


def test_the_quota_of_a_project_that_is_none_is_refused(place):
    place.cloud.keystone.projects = {"project", "friends"}

    answers = {
        "show": place.user.get("/os-quota-sets/nobody"),
        "detail": place.user.get("/os-quota-sets/nobody/detail"),
        "defaults": place.user.get("/os-quota-sets/nobody/defaults"),
        "update": place.user.put("/os-quota-sets/nobody", {"quota_set": {"cores": 1}}),
        "friends": place.user.get("/os-quota-sets/friends"),
    }

    place.cloud.keystone.projects = None
    assert {name: answer.status_code for name, answer in answers.items()} == {
        **dict.fromkeys(("show", "detail", "defaults", "update"), 400),
        "friends": 200,
    }
    assert answers["show"].json() == {
        "badRequest": {"code": 400, "message": "Project ID nobody is not a valid project."}
    }


@pytest.mark.parametrize("fault", AWAY)
def test_quotas_can_be_set_while_nobody_knows_the_projects(place, fault):
    place.cloud.adapters["http://identity"].fault = fault

    answer = place.user.put("/os-quota-sets/friends", {"quota_set": {"cores": 5}})

    assert (answer.status_code, answer.json()["quota_set"]["cores"]) == (200, 5)


def test_volumes_of_a_refused_request_are_deleted_when_the_service_is_back(place):
    """The service goes away between the first of a server's volumes and the second."""
    cloud = place.cloud
    devices = [{"source_type": "image", "uuid": place.image_id, "volume_size": 1}, *[BLANK] * 2]
    before = set(cloud.cinder.volumes)
    cloud.adapters["http://volume"].fault_after(1, "refuses", method="POST")

    answer = place.user.post("/servers", place.from_volume(*devices))

    assert answer.status_code == 503
    assert len(set(cloud.cinder.volumes) - before) == 1
    cloud.adapters["http://volume"].fault = None
    wait(lambda: set(cloud.cinder.volumes) == before, "the volume is deleted")


def test_a_volume_that_was_made_unheard_of_is_found_again_and_deleted(place):
    """The service makes the volume, and its answer is lost."""
    cloud = place.cloud
    device = {"source_type": "image", "uuid": place.image_id, "volume_size": 1}
    before = set(cloud.cinder.volumes)
    cloud.adapters["http://volume"].fault = LOSES_ANSWERS

    answer = place.user.post("/servers", place.from_volume(device))

    assert answer.status_code == 503
    assert len(set(cloud.cinder.volumes) - before) == 1
    cloud.adapters["http://volume"].fault = None
    wait(lambda: set(cloud.cinder.volumes) == before, "the volume is deleted")


def test_snapshots_of_a_refused_image_are_deleted_when_the_service_is_back(place):
    cloud = place.cloud
    before = set(cloud.cinder.snapshots)
    cloud.adapters["http://image"].fault = "never answers"

    answer = place.user.act(place.from_volume_id, "createImage", {"name": "copy"})

    assert answer.status_code == 503
    cloud.adapters["http://image"].fault = None
    wait(lambda: set(cloud.cinder.snapshots) == before, "the snapshots are deleted")


BLANK = {"source_type": "blank", "volume_size": 1}
