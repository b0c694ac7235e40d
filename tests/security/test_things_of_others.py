"""What happens to a project when another one names its things, in every request that can name one.

For the attacker a thing of the victim is as if it were not there: the same status and the same words as for an id
that nobody ever had. Nothing changes, and nothing of the victim's is in the answer.
"""

import json
import uuid

import pytest

from nova.structs.instance import PowerState
from tests.functional.cloud import wait

VICTIM, ATTACKER = "victim", "attacker"
NETWORK = "http://network/v2.0"
WORDS = ("secret-name", "victims-network", "victims-group", "10.66.6.", "host-1")


class Stage:
    """A cloud with a victim, all of whose things have an id, and an attacker with a server of its own."""

    def __init__(self, cloud):
        self.cloud = cloud
        cloud.add_host("host-1")
        self.victim, self.attacker = cloud.client("v", VICTIM), cloud.client("a", ATTACKER)
        self.admin = cloud.client("admin", "admin")
        # A network each: a server without one named must have a choice of one.
        self.ids = {}
        self._make_networks()
        self._make_servers()
        self._make_others()

    def _make_networks(self):
        for project, cidr in ((VICTIM, "10.66.6.0/24"), (ATTACKER, "10.77.7.0/24")):
            client = self.cloud.client(project[0], project)
            network = self.make(client, "networks", "network", name=f"{project}s-network")
            subnet = self.make(client, "subnets", "subnet", network_id=network, cidr=cidr, ip_version=4)
            port = self.make(client, "ports", "port", network_id=network)
            group = self.make(client, "security-groups", "security_group", name=f"{project}s-group")
            router = self.make(client, "routers", "router", name=f"{project}s-router")
            found = client.get(f"/security-groups/{group}", url=NETWORK).json()["security_group"]
            rule = found["security_group_rules"][0]["id"]
            made = {"network": network, "subnet": subnet, "port": port, "group": group, "rule": rule, "router": router}
            self.ids[project] = made
        public = self.make(self.admin, "networks", "network", name="public", **{"router:external": True})
        self.make(self.admin, "subnets", "subnet", network_id=public, cidr="203.0.113.0/24", ip_version=4)
        for project in (VICTIM, ATTACKER):
            client = self.cloud.client(project[0], project)
            self.ids[project]["floating"] = self.make(client, "floatingips", "floatingip", floating_network_id=public)

    def make(self, client, path, noun, **fields):
        answer = client.post(f"/{path}", {noun: fields}, url=NETWORK)
        assert answer.status_code == 201, answer.text
        return answer.json()[noun]["id"]

    def _make_servers(self):
        for project, name in ((VICTIM, "secret-name"), (ATTACKER, "mine")):
            client = self.cloud.client(project[0], project)
            group = client.post("/os-server-groups", {"server_group": {"name": "g", "policy": "anti-affinity"}})
            self.ids[project]["server_group"] = group.json()["server_group"]["id"]
            networks = [{"uuid": self.ids[project]["network"]}]
            made = client.create_server(name=name, networks=networks)
            self.ids[project]["server"] = made["id"]

    def _make_others(self):
        mine = self.ids[VICTIM]
        image = self.cloud.glance.add("secret-name", visibility="private", owner=VICTIM)
        mine["image"] = image
        mine["volume"] = self.cloud.cinder.add(1, project=VICTIM, name="secret-name")
        attached = self.cloud.cinder.add(1, project=VICTIM, name="secret-name")
        self.victim.post(
            f"/servers/{mine['server']}/os-volume_attachments", {"volumeAttachment": {"volumeId": attached}}
        )
        self.victim.wait(mine["server"], "ACTIVE")
        mine["attached"] = attached
        mine["share"] = self.cloud.manila.add(VICTIM)
        flavor = {
            "name": "hidden",
            "ram": 64,
            "vcpus": 1,
            "disk": 1,
            "id": "hidden",
            "os-flavor-access:is_public": False,
        }
        self.admin.post("/flavors", {"flavor": flavor})
        self.admin.post("/flavors/hidden/action", {"addTenantAccess": {"tenant": VICTIM}})
        mine["flavor"] = "hidden"
        self.victim.post("/os-keypairs", {"keypair": {"name": "secret-key", "public_key": KEY}})
        mine["keypair"] = "secret-key"
        moved = self.victim.create_server(name="secret-name")
        self.cloud.add_host("host-2")
        self.admin.act(moved["id"], "os-migrateLive", {"host": None, "block_migration": "auto"})
        self.admin.wait(moved["id"], "ACTIVE")
        mine["moved"] = moved["id"]
        migrations = self.admin.get("/os-migrations").json()["migrations"]
        mine["migration"] = str(migrations[0]["uuid"])
        actions = self.victim.get(f"/servers/{mine['server']}/os-instance-actions").json()["instanceActions"]
        mine["request"] = actions[0]["request_id"]

    def state_of_victim(self):
        """Everything of the victim's that a request could have changed."""
        mine = self.ids[VICTIM]
        shown = {}
        for path in ("networks", "subnets", "ports", "security-groups", "routers", "floatingips"):
            shown[path] = self.victim.get(f"/{path}?project_id={VICTIM}", url=NETWORK).json()
        shown["servers"] = self.victim.get("/servers/detail").json()
        shown["groups"] = self.victim.get("/os-server-groups").json()
        shown["keypairs"] = self.victim.get("/os-keypairs").json()
        shown["actions"] = self.victim.get(f"/servers/{mine['server']}/os-instance-actions").json()
        shown["volumes"] = json.loads(json.dumps(self.cloud.cinder.volumes))
        shown["images"] = json.loads(json.dumps(self.cloud.glance.images))
        shown["guests"] = sorted(uuid for uuid, guest in self.cloud.guests().items())
        return shown


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEg6zkdOb3hMkPJ0Zr6rRA5rXfX8Z1oX0fV7ZfXWkq6L v@v"


@pytest.fixture(scope="module")
def stage(make_module_cloud):
    return Stage(make_module_cloud())


def body_of_server(**fields):
    return {"server": {"name": "x", "flavorRef": "m1.tiny", "networks": "none", **fields}}


# (what of the victim's is named, method, path, body): {it} is named, {own} is the attacker's server.
COMPUTE = [
    ("server", "GET", "/servers/{it}", None),
    ("server", "DELETE", "/servers/{it}", None),
    ("server", "PUT", "/servers/{it}", {"server": {"name": "mine now"}}),
    *(
        ("server", "POST", "/servers/{it}/action", {name: argument})
        for name, argument in {
            "os-stop": None, "os-start": None, "reboot": {"type": "HARD"}, "pause": None, "unpause": None,
            "suspend": None, "resume": None, "lock": None, "unlock": None, "rescue": None, "unrescue": None,
            "shelve": None, "unshelve": None, "confirmResize": None, "revertResize": None, "restore": None,
            "forceDelete": None, "trigger_crash_dump": None, "os-getConsoleOutput": {},
            "changePassword": {"adminPass": "x"}, "resize": {"flavorRef": "m1.small"},
            "createImage": {"name": "x"}, "createBackup": {"name": "x", "backup_type": "d", "rotation": 1},
            "addSecurityGroup": {"name": "default"}, "removeSecurityGroup": {"name": "default"},
            "rebuild": {"imageRef": "{image}"},
        }.items()
    ),
    ("server", "POST", "/servers/{it}/remote-consoles", {"remote_console": {"protocol": "vnc", "type": "novnc"}}),
    ("server", "GET", "/servers/{it}/ips", None),
    ("server", "GET", "/servers/{it}/ips/victims-network", None),
    ("server", "GET", "/servers/{it}/metadata", None),
    ("server", "PUT", "/servers/{it}/metadata/a", {"meta": {"a": "b"}}),
    ("server", "POST", "/servers/{it}/metadata", {"metadata": {"a": "b"}}),
    ("server", "PUT", "/servers/{it}/metadata", {"metadata": {"a": "b"}}),
    ("server", "DELETE", "/servers/{it}/metadata/a", None),
    ("server", "GET", "/servers/{it}/tags", None),
    ("server", "PUT", "/servers/{it}/tags/a", None),
    ("server", "PUT", "/servers/{it}/tags", {"tags": ["a"]}),
    ("server", "DELETE", "/servers/{it}/tags", None),
    ("server", "GET", "/servers/{it}/topology", None),
    ("server", "GET", "/servers/{it}/os-server-password", None),
    ("server", "DELETE", "/servers/{it}/os-server-password", None),
    ("server", "GET", "/servers/{it}/os-security-groups", None),
    ("server", "GET", "/servers/{it}/os-interface", None),
    ("server", "POST", "/servers/{it}/os-interface", {"interfaceAttachment": {}}),
    ("server", "GET", "/servers/{it}/os-volume_attachments", None),
    ("server", "POST", "/servers/{it}/os-volume_attachments", {"volumeAttachment": {"volumeId": "{volume}"}}),
    ("server", "GET", "/servers/{it}/os-instance-actions", None),
    ("server", "GET", "/servers/{it}/shares", None),
    ("server", "GET", "/servers/{it}/scheduling", None),
    ("server", "GET", "/servers?marker={it}", None),
    ("server", "GET", "/servers/detail?marker={it}&sort_key=key_name", None),
    ("server", "GET", f"/os-simple-tenant-usage/{ATTACKER}?marker={{it}}", None),
    ("server", "POST", "/servers", body_of_server(imageRef="{image}") | {"os:scheduler_hints": {"same_host": ["{it}"]}}),
    ("server_group", "GET", "/os-server-groups/{it}", None),
    ("server_group", "DELETE", "/os-server-groups/{it}", None),
    ("server_group", "POST", "/servers", body_of_server(imageRef="{image}") | {"os:scheduler_hints": {"group": "{it}"}}),
    ("keypair", "GET", "/os-keypairs/{it}", None),
    ("keypair", "DELETE", "/os-keypairs/{it}", None),
    ("keypair", "GET", "/os-keypairs?marker={it}", None),
    ("keypair", "POST", "/servers", body_of_server(imageRef="{image}", key_name="{it}")),
    ("keypair", "POST", "/servers/{own}/action", {"rebuild": {"imageRef": "{image}", "key_name": "{it}"}}),
    ("flavor", "GET", "/flavors/{it}", None),
    ("flavor", "GET", "/flavors/{it}/os-extra_specs", None),
    ("flavor", "GET", "/flavors/{it}/os-flavor-access", None),
    ("flavor", "GET", "/flavors?marker={it}", None),
    ("flavor", "POST", "/servers", body_of_server(imageRef="{image}", flavorRef="{it}")),
    ("flavor", "POST", "/servers/{own}/action", {"resize": {"flavorRef": "{it}"}}),
    ("image", "POST", "/servers", body_of_server(imageRef="{it}")),
    ("image", "POST", "/servers/{own}/action", {"rebuild": {"imageRef": "{it}"}}),
    ("image", "POST", "/servers/{own}/action", {"rescue": {"rescue_image_ref": "{it}"}}),
    (
        "image", "POST", "/servers",
        body_of_server(block_device_mapping_v2=[
            {"source_type": "image", "uuid": "{it}", "destination_type": "volume", "volume_size": 1, "boot_index": 0}
        ]),
    ),
    ("volume", "POST", "/servers/{own}/os-volume_attachments", {"volumeAttachment": {"volumeId": "{it}"}}),
    (
        "volume", "POST", "/servers",
        body_of_server(imageRef="{image}", block_device_mapping_v2=[
            {"source_type": "volume", "uuid": "{it}", "destination_type": "volume"}
        ]),
    ),
    ("attached", "GET", "/servers/{own}/os-volume_attachments/{it}", None),
    ("attached", "DELETE", "/servers/{own}/os-volume_attachments/{it}", None),
    ("attached", "PUT", "/servers/{own}/os-volume_attachments/{it}", {"volumeAttachment": {"volumeId": "{it}"}}),
    ("share", "POST", "/servers/{own}/shares", {"share": {"share_id": "{it}"}}),
    ("share", "GET", "/servers/{own}/shares/{it}", None),
    ("network", "POST", "/servers", body_of_server(imageRef="{image}", networks=[{"uuid": "{it}"}])),
    ("port", "POST", "/servers", body_of_server(imageRef="{image}", networks=[{"port": "{it}"}])),
    ("group", "POST", "/servers", body_of_server(imageRef="{image}", security_groups=[{"name": "{it}"}])),
    ("network", "POST", "/servers/{own}/os-interface", {"interfaceAttachment": {"net_id": "{it}"}}),
    ("port", "POST", "/servers/{own}/os-interface", {"interfaceAttachment": {"port_id": "{it}"}}),
    ("port", "GET", "/servers/{own}/os-interface/{it}", None),
    ("port", "DELETE", "/servers/{own}/os-interface/{it}", None),
    ("group", "POST", "/servers/{own}/action", {"addSecurityGroup": {"name": "{it}"}}),
    ("group", "POST", "/servers/{own}/action", {"removeSecurityGroup": {"name": "{it}"}}),
    ("migration", "GET", "/servers/{own}/migrations/{it}", None),
    ("migration", "DELETE", "/servers/{own}/migrations/{it}", None),
    ("migration", "GET", "/os-migrations?marker={it}", None),
    ("request", "GET", "/servers/{own}/os-instance-actions/{it}", None),
    ("request", "GET", "/servers/{own}/os-instance-actions?marker={it}", None),
]  # fmt: skip

# The same through versions of the API that proxied the Networking service.
OLD = [
    ("group", "GET", "/os-security-groups/{it}", None),
    ("group", "DELETE", "/os-security-groups/{it}", None),
    ("group", "PUT", "/os-security-groups/{it}", {"security_group": {"name": "x", "description": "x"}}),
    (
        "group", "POST", "/os-security-group-rules",
        {"security_group_rule": {
            "parent_group_id": "{it}", "ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "0.0.0.0/0"
        }},
    ),
    (
        "group", "POST", "/os-security-group-rules",
        {"security_group_rule": {
            "parent_group_id": "{own_group}", "ip_protocol": "tcp", "from_port": 1, "to_port": 2, "group_id": "{it}"
        }},
    ),
    ("rule", "DELETE", "/os-security-group-rules/{it}", None),
    ("network", "GET", "/os-networks/{it}", None),
    ("network", "GET", "/os-tenant-networks/{it}", None),
    ("floating", "GET", "/os-floating-ips/{it}", None),
    ("floating", "DELETE", "/os-floating-ips/{it}", None),
    ("network", "POST", "/servers/{own}/action", {"addFixedIp": {"networkId": "{it}"}}),
]  # fmt: skip

NETWORKING = [
    *(
        (kind, method, f"/{path}/{{it}}", {noun: {}} if method == "PUT" else None)
        for kind, path, noun in (
            ("network", "networks", "network"), ("subnet", "subnets", "subnet"), ("port", "ports", "port"),
            ("group", "security-groups", "security_group"), ("rule", "security-group-rules", "security_group_rule"),
            ("router", "routers", "router"), ("floating", "floatingips", "floatingip"),
        )
        for method in ("GET", "PUT", "DELETE")
    ),
    ("network", "GET", "/networks?id={it}", None),
    ("network", "GET", "/ports?network_id={it}", None),
    ("network", "GET", "/networks?marker={it}", None),
    ("network", "GET", "/network-ip-availabilities/{it}", None),
    ("network", "POST", "/subnets", {"subnet": {"network_id": "{it}", "cidr": "10.1.0.0/24", "ip_version": 4}}),
    ("network", "POST", "/ports", {"port": {"network_id": "{it}"}}),
    ("network", "PUT", "/networks/{it}/tags/a", None),
    ("server", "GET", "/ports?device_id={it}", None),
    ("group", "POST", "/ports", {"port": {"network_id": "{own_network}", "security_groups": ["{it}"]}}),
    ("group", "PUT", "/ports/{own_port}", {"port": {"security_groups": ["{it}"]}}),
    (
        "group", "POST", "/security-group-rules",
        {"security_group_rule": {"security_group_id": "{it}", "direction": "ingress"}},
    ),
    (
        "group", "POST", "/security-group-rules",
        {"security_group_rule": {
            "security_group_id": "{own_group}", "direction": "ingress", "remote_group_id": "{it}"
        }},
    ),
    ("port", "PUT", "/floatingips/{own_floating}", {"floatingip": {"port_id": "{it}"}}),
    ("port", "PUT", "/routers/{own_router}/add_router_interface", {"port_id": "{it}"}),
    ("subnet", "PUT", "/routers/{own_router}/add_router_interface", {"subnet_id": "{it}"}),
    ("port", "PUT", "/routers/{own_router}/remove_router_interface", {"port_id": "{it}"}),
    ("router", "PUT", "/routers/{it}/add_router_interface", {"subnet_id": "{own_subnet}"}),
]  # fmt: skip


def name(row):
    kind, method, path, body = row
    inner = next(iter(body)) if body else ""
    return f"{kind}-{method}-{path}-{inner}".replace("/", "_")


def fill(value, it, stage):
    mine = stage.ids[ATTACKER]
    names = {
        "it": it,
        "own": mine["server"],
        "image": next(iter(stage.cloud.glance.images)),
        "volume": str(uuid.uuid4()),
    }
    names |= {f"own_{kind}": each for kind, each in mine.items()}
    text = json.dumps(value)
    for key, each in names.items():
        text = text.replace("{" + key + "}", each)
    return json.loads(text)


def ask(stage, row, it, url, version="2.104"):
    _, method, path, body = row
    client = stage.cloud.client("a", ATTACKER, version)
    answer = client.request(method, fill(path, it, stage), fill(body, it, stage), url=url)
    text = answer.text.replace(it, "IT").replace(str(stage.ids[ATTACKER]["server"]), "OWN")
    return answer.status_code, text


def check(stage, row, url, version="2.104"):
    kind, it = row[0], stage.ids[VICTIM][row[0]]
    stranger = {"keypair": "no-such-key", "flavor": "nosuch", "request": f"req-{uuid.uuid4()}"}.get(
        kind, str(uuid.uuid4())
    )
    before = stage.state_of_victim()

    real, text = ask(stage, row, it, url, version)
    nobodys, nothing = ask(stage, row, stranger, url, version)
    if real == 202 and nobodys == 409:
        # Accepted, and in vain; one operation at a time.
        nobodys, nothing = wait(
            lambda: (answer := ask(stage, row, stranger, url, version))[0] != 409 and answer, "the operation is over"
        )

    if real == 202 and row[2] == "/servers":
        # Accepted, and refused by the scheduler: for both in the same words.
        real, text, nobodys, nothing = [each for answer in (text, nothing) for each in _fault(stage, answer)]
    assert real == nobodys
    assert _plain(text) == _plain(nothing)
    assert real >= 400 or _is_empty(text), text
    assert not any(word in text for word in WORDS)
    assert stage.state_of_victim() == before


def _fault(stage, text):
    server_id = json.loads(text)["server"]["id"]
    fault = stage.attacker.wait(server_id, "ERROR")["fault"]
    stage.attacker.delete(f"/servers/{server_id}")
    stage.attacker.wait_gone(server_id)
    return fault["code"], fault["message"].replace(server_id, "NEW")


def _plain(text):
    """Without what is each request's own."""
    try:
        content = json.loads(text)
    except ValueError:
        return text
    return {name: value for name, value in content.items() if name not in ("request_id",)}


def _is_empty(text):
    return not text or all(not value for value in json.loads(text).values())


@pytest.mark.parametrize("row", COMPUTE, ids=name)
def test_compute(stage, row):
    check(stage, row, "http://compute/v2.1")


@pytest.mark.parametrize("row", OLD, ids=name)
def test_old_versions_of_compute(stage, row):
    check(stage, row, "http://compute/v2.1", "2.35" if "addFixedIp" not in str(row) else "2.43")


@pytest.mark.parametrize("row", NETWORKING, ids=name)
def test_networking(stage, row):
    check(stage, row, NETWORK)


@pytest.mark.parametrize("path", [f"/os-quota-sets/{VICTIM}", f"/os-quota-sets/{VICTIM}/detail", f"/os-simple-tenant-usage/{VICTIM}",
                                  f"/limits?tenant_id={VICTIM}", "/os-simple-tenant-usage", "/os-keypairs?user_id=v",
                                  "/os-keypairs/secret-key?user_id=v", "/servers?all_tenants=1", "/servers/events?all_projects=1",
                                  f"/os-migrations?project_id={VICTIM}"])  # fmt: skip
def test_another_project_or_user_is_not_asked_about(stage, path):
    answer = stage.attacker.get(path)

    assert answer.status_code == 403
    assert not any(word in answer.text for word in WORDS)


@pytest.mark.parametrize("key", ["host", "node", "launched_on", "cell_name"])
def test_an_order_tells_no_hosts(stage, key):
    version = "2.104" if key in ("host", "node") else "2.74"

    answers = [stage.cloud.client(user, ATTACKER, version).get(f"/servers?sort_key={key}") for user in ("a", "admin")]

    assert [answer.status_code for answer in answers] == [403, 200]


@pytest.mark.parametrize("filter_", ["host", "node", "hypervisor_hostname", "uuid"])
def test_a_list_of_servers_is_not_filtered_by_what_members_may_not_see(stage, filter_):
    host = stage.admin.get(f"/servers/{stage.ids[ATTACKER]['server']}").json()["server"]["OS-EXT-SRV-ATTR:host"]
    client = stage.cloud.client("a", ATTACKER, "2.74")

    there, nowhere = (client.get(f"/servers?{filter_}={value}").json()["servers"] for value in (host, "nowhere"))

    assert there == nowhere


def test_ports_are_not_found_by_their_host(stage):
    host = stage.admin.get(f"/servers/{stage.ids[ATTACKER]['server']}").json()["server"]["OS-EXT-SRV-ATTR:host"]

    def ports(client):
        return client.get(f"/ports?binding:host_id={host}", url=NETWORK).json()["ports"]

    assert ports(stage.attacker) == []
    assert ports(stage.admin) != []


def test_a_port_that_names_anothers_server_as_its_device_is_not_that_servers(stage):
    mine, theirs = stage.ids[ATTACKER], stage.ids[VICTIM]
    body = {"port": {"network_id": mine["network"], "device_id": theirs["server"]}}
    forged = stage.attacker.post("/ports", body, url=NETWORK).json()["port"]["id"]
    # What nova-network does not let anybody say, a Neutron does.
    stage.admin.put(f"/ports/{forged}", {"port": {"device_owner": "compute:nova"}}, url=NETWORK)

    stage.victim.act(theirs["server"], "addSecurityGroup", {"name": theirs["group"]})
    groups = stage.victim.get(f"/servers/{theirs['server']}/os-security-groups").json()["security_groups"]
    event = {"events": [{"name": "network-changed", "server_uuid": theirs["server"]}]}
    stage.admin.post("/os-server-external-events", event)

    port = stage.attacker.get(f"/ports/{forged}", url=NETWORK).json()["port"]
    assert theirs["group"] not in port["security_groups"]
    assert {group["tenant_id"] for group in groups} == {VICTIM}
    shown = stage.victim.get(f"/servers/{theirs['server']}/os-interface").json()["interfaceAttachments"]
    assert forged not in {vif["port_id"] for vif in shown}
    stage.victim.act(theirs["server"], "os-stop")
    stage.victim.wait(theirs["server"], "SHUTOFF")
    stage.victim.act(theirs["server"], "os-start")
    stage.victim.wait(theirs["server"], "ACTIVE")
    assert stage.attacker.get(f"/ports/{forged}", url=NETWORK).json()["port"]["status"] == "DOWN"
    stage.attacker.delete(f"/ports/{forged}", url=NETWORK)


READER_MAY_NOT = [
    ("POST", "/networks", {"network": {"name": "x"}}),
    ("DELETE", "/networks/{network}", None),
    ("PUT", "/networks/{network}", {"network": {"name": "x"}}),
    ("POST", "/subnets", {"subnet": {"network_id": "{network}", "cidr": "10.9.0.0/24", "ip_version": 4}}),
    ("DELETE", "/subnets/{subnet}", None),
    ("POST", "/ports", {"port": {"network_id": "{network}"}}),
    ("DELETE", "/ports/{port}", None),
    ("POST", "/security-groups", {"security_group": {"name": "x"}}),
    ("DELETE", "/security-groups/{group}", None),
    ("DELETE", "/security-group-rules/{rule}", None),
    ("POST", "/routers", {"router": {"name": "x"}}),
    ("DELETE", "/routers/{router}", None),
    ("PUT", "/routers/{router}/add_router_interface", {"subnet_id": "{subnet}"}),
    ("PUT", "/floatingips/{floating}", {"floatingip": {"port_id": None}}),
    ("DELETE", "/floatingips/{floating}", None),
    ("PUT", "/networks/{network}/tags/x", None),
]


@pytest.mark.parametrize(("method", "path", "body"), READER_MAY_NOT)
def test_a_reader_changes_nothing_of_the_networks(stage, method, path, body):
    reader = stage.cloud.client("v", VICTIM, roles=["reader"])
    before = stage.state_of_victim()

    def named(value):
        text = json.dumps(value)
        for kind, each in stage.ids[VICTIM].items():
            text = text.replace("{" + kind + "}", each)
        return json.loads(text)

    answer = reader.request(method, named(path), named(body), url=NETWORK)

    assert answer.status_code == 403
    assert stage.state_of_victim() == before


def test_a_reader_reads_the_networks(stage):
    reader = stage.cloud.client("v", VICTIM, roles=["reader"])

    assert reader.get(f"/networks/{stage.ids[VICTIM]['network']}", url=NETWORK).status_code == 200


def test_a_router_takes_no_address_of_anothers_shared_network(stage):
    network = stage.make(stage.admin, "networks", "network", name="shared", shared=True)
    subnet = stage.make(stage.admin, "subnets", "subnet", network_id=network, cidr="10.88.0.0/24", ip_version=4)
    path = f"/routers/{stage.ids[ATTACKER]['router']}/add_router_interface"

    answer = stage.attacker.put(path, {"subnet_id": subnet}, url=NETWORK)

    assert answer.status_code == 400
    stage.admin.delete(f"/networks/{network}", url=NETWORK)


def test_the_owner_of_a_network_does_not_take_others_ports_on_it(stage):
    network = stage.make(stage.admin, "networks", "network", name="lent", shared=True, project_id=ATTACKER)
    stage.make(stage.attacker, "subnets", "subnet", network_id=network, cidr="10.99.0.0/24", ip_version=4)
    port = stage.make(stage.victim, "ports", "port", network_id=network)
    mine = stage.ids[ATTACKER]

    answers = [
        stage.attacker.put(f"/floatingips/{mine['floating']}", {"floatingip": {"port_id": port}}, url=NETWORK),
        stage.attacker.put(f"/routers/{mine['router']}/add_router_interface", {"port_id": port}, url=NETWORK),
        stage.attacker.post(
            "/servers", body_of_server(imageRef=next(iter(stage.cloud.glance.images)), networks=[{"port": port}])
        ),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 400]
    stage.victim.delete(f"/ports/{port}", url=NETWORK)
    stage.attacker.delete(f"/networks/{network}", url=NETWORK)


def test_an_administrator_gives_a_server_ports_of_its_own_project_alone(stage):
    body = {"interfaceAttachment": {"port_id": stage.ids[ATTACKER]["port"]}}

    answer = stage.admin.post(f"/servers/{stage.ids[VICTIM]['server']}/os-interface", body)

    assert answer.status_code == 400


def test_the_victims_guest_still_runs(stage):
    guest = stage.cloud.guests()[stage.ids[VICTIM]["server"]]

    assert guest.power_state == PowerState.RUNNING
    wait(lambda: stage.victim.server(stage.ids[VICTIM]["server"])["status"] == "ACTIVE", "the server is active")
