"""What a guest is answered, who is taken for which guest, and what is refused."""

import base64
import copy
import hashlib
import hmac
import json

import pytest
import requests
import webob

from nova import errors
from nova.api.metadata import application
from nova.clients.adapters import service_adapter
from nova.clients.network.client import Networking
from nova.conf import BadConfiguration
from tests.functional.cloud import Cloud, wait
from tests.functional.wsgi_adapter import WsgiAdapter

SECRET = "shared by proxy and API"
BEHIND_PROXY = f"[neutron]\nservice_metadata_proxy = true\nmetadata_proxy_shared_secret = {SECRET}\n"
UNLIMITED = "[quota]\ninstances = -1\ncores = -1\nram = -1\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f user@example"


class Guests:
    """A cloud with a network, and guests on it that ask for their metadata."""

    def __init__(self, cloud):
        self.cloud = cloud
        cloud.add_host("host-1", vcpus=1000, memory_mb=1 << 20, disk_gb=10000)
        self.user = cloud.client()
        self.admin = cloud.client("admin", "admin")
        self.private = self.network()
        self.app = application(
            cloud.conf, cloud.conductor_calls, Networking(service_adapter(cloud.conf, "neutron", cloud.transport))
        )

    def network(self, cidr="10.1.0.0/16"):
        """A network that everybody may use."""
        network = {"network": {"name": f"net {cidr}", "shared": True}}
        network_id = self._networking("/networks", network)["network"]["id"]
        self._networking("/subnets", {"subnet": {"network_id": network_id, "cidr": cidr, "ip_version": 4}})
        return network_id

    def boot(self, network_id=None, client=None, **options):
        networks = [{"uuid": network_id or self.private}]
        return (client or self.user).create_server(networks=networks, **options)

    def address(self, server):
        return next(iter(server["addresses"].values()))[0]["addr"]

    def ask(self, path, address="192.0.2.99", method="GET", body=b"", app=None, **headers):
        """A request as it comes in from address."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = webob.Request.blank(path, method=method, body=body, headers=names)
        request.environ["REMOTE_ADDR"] = address
        return request.get_response(app or self.app)

    def ask_as(self, server_id, project="project", path="/openstack/latest/meta_data.json", secret=SECRET, **options):
        """A request that a metadata proxy passes on."""
        signature = hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()
        headers = {"X_Instance_ID": server_id, "X_Tenant_ID": project, "X_Instance_ID_Signature": signature}
        return self.ask(path, **{**headers, **options})

    def _networking(self, path, body):
        answer = self.admin.post(path, body, url="http://network/v2.0")
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def make_guests(tmp_path_factory, templates):
    """Clouds that several tests use, each with guests of its own."""
    made = []

    def make(settings=""):
        cloud = Cloud(tmp_path_factory.mktemp("cloud"), templates, UNLIMITED + settings)
        made.append(cloud)
        cloud.start()
        cloud.glance.add("tiny")
        flavor = {"name": "m1.tiny", "ram": 64, "vcpus": 1, "disk": 1, "id": "m1.tiny"}
        assert cloud.client("admin", "admin").post("/flavors", {"flavor": flavor}).status_code == 200
        return Guests(cloud)

    yield make
    for cloud in made:
        cloud.stop()


@pytest.fixture(scope="module")
def guests(make_guests):
    return make_guests()


@pytest.fixture(scope="module")
def proxied(make_guests):
    return make_guests(BEHIND_PROXY)


def test_a_guest_is_known_by_its_address(guests):
    keypair = {"name": "mykey", "type": "ssh", "public_key": KEY}
    assert guests.user.post("/os-keypairs", {"keypair": keypair}).status_code == 201
    user_data = base64.b64encode(b"#!/bin/sh\necho hello\n").decode()
    server = guests.boot(name="one", key_name="mykey", user_data=user_data, metadata={"role": "web"})
    address = guests.address(server)

    data = guests.ask("/openstack/latest/meta_data.json", address)

    assert data.content_type == "application/json"
    assert data.json["uuid"] == server["id"]
    assert data.json["hostname"] == "one.novalocal"
    assert data.json["meta"] == {"role": "web"}
    assert data.json["public_keys"] == {"mykey": KEY}
    assert data.json["project_id"] == "project"
    assert guests.ask("/openstack/latest/user_data", address).body == b"#!/bin/sh\necho hello\n"
    assert guests.ask("/latest/meta-data/local-ipv4", address).text == address
    assert guests.ask("/latest/meta-data/public-keys/0/openssh-key", address).text == KEY
    links = guests.ask("/openstack/latest/network_data.json", address).json["links"]
    assert len(links) == 1


def test_two_guests_each_read_about_themselves(guests):
    one, two = guests.boot(name="one"), guests.boot(name="two")

    told = [guests.ask("/latest/meta-data/hostname", guests.address(server)).text for server in (one, two)]

    assert told == ["one.novalocal", "two.novalocal"]


def test_an_address_is_understood_in_every_form(guests):
    server = guests.boot()

    answer = guests.ask("/openstack/latest/meta_data.json", f"::ffff:{guests.address(server)}")

    assert answer.json["uuid"] == server["id"]


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "", "no address"])
def test_who_is_no_guest_gets_nothing(guests, address):
    assert guests.ask("/openstack/latest/meta_data.json", address).status_code == 404


def test_a_guest_that_is_deleted_is_no_guest(make_guests):
    guests = make_guests("[api]\nmetadata_cache_expiration = 0\n")
    server = guests.boot()
    address = guests.address(server)
    assert guests.ask("/latest/meta-data/", address).status_code == 200

    guests.user.delete(f"/servers/{server['id']}")
    guests.user.wait_gone(server["id"])

    assert guests.ask("/latest/meta-data/", address).status_code == 404


def test_a_guest_that_has_the_address_of_a_deleted_one_reads_about_itself(guests):
    first = guests.boot(name="first")
    address = guests.address(first)
    assert guests.ask("/latest/meta-data/hostname", address).text == "first.novalocal"
    guests.user.delete(f"/servers/{first['id']}")
    guests.user.wait_gone(first["id"])
    wait(lambda: guests.ask("/latest/", address).status_code == 404, "the address is forgotten")

    second = guests.boot(name="second")

    assert guests.address(second) == address
    assert guests.ask("/latest/meta-data/hostname", address).text == "second.novalocal"


def test_headers_of_a_guest_do_not_make_it_another(guests):
    mine, other = guests.boot(name="mine"), guests.boot(name="other")

    answer = guests.ask_as(other["id"], address=guests.address(mine), X_Forwarded_For=guests.address(other))

    assert answer.json["name"] == "mine"


@pytest.fixture(scope="module")
def forwarded(make_guests):
    return make_guests("[oslo_middleware]\nenable_proxy_headers_parsing = true\n")


def test_behind_a_trusted_reverse_proxy_the_forwarded_address_counts(forwarded):
    server = forwarded.boot()

    answer = forwarded.ask("/openstack/latest/meta_data.json", "127.0.0.1", X_Forwarded_For=forwarded.address(server))

    assert answer.json["uuid"] == server["id"]


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For"])
def test_what_a_guest_tells_the_reverse_proxy_does_not_make_it_another(forwarded, header):
    mine, other = (forwarded.address(forwarded.boot(name=name)) for name in ("mine", "other"))
    said = {"Forwarded": {"Forwarded": f"for={other}"}, "X-Forwarded-For": {"X_Forwarded_For": f"{other}, {mine}"}}

    answer = forwarded.ask("/openstack/latest/meta_data.json", "127.0.0.1", **{"X_Forwarded_For": mine, **said[header]})

    assert answer.json["name"] == "mine"


def test_a_metadata_proxy_without_a_secret_is_refused(proxied):
    conf = copy.deepcopy(proxied.cloud.conf)
    conf.set_override("metadata_proxy_shared_secret", "", group="neutron")

    with pytest.raises(BadConfiguration, match="metadata_proxy_shared_secret"):
        application(conf, proxied.cloud.conductor_calls)


def test_an_address_that_two_servers_have_belongs_to_neither(guests):
    servers = [guests.boot(name=name) for name in ("one", "two")]
    ports = [{"device_id": server["id"], "device_owner": "compute:nova", "project_id": "project"} for server in servers]
    # A Neutron whose networks are isolated from one another gives an address twice.
    neutron = requests.Session()
    neutron.mount("http://network", WsgiAdapter(webob.Response(json={"ports": ports})))
    networking = Networking(service_adapter(guests.cloud.conf, "neutron", neutron))
    app = application(guests.cloud.conf, guests.cloud.conductor_calls, networking)

    answer = guests.ask("/openstack/latest/meta_data.json", guests.address(servers[0]), app=app)

    assert answer.status_code == 404


def test_an_address_is_its_new_guests_at_once(guests):
    """A guest that runs may get an address the moment another one gives it up."""
    servers = [guests.boot(name=name) for name in ("one", "two")]
    answers = [
        {"ports": [{"device_id": server["id"], "device_owner": "compute:nova", "project_id": "project"}]}
        for server in servers
    ]
    answer = webob.Response(json=answers[0])
    neutron = requests.Session()
    neutron.mount("http://network", WsgiAdapter(answer))
    networking = Networking(service_adapter(guests.cloud.conf, "neutron", neutron))
    app = application(guests.cloud.conf, guests.cloud.conductor_calls, networking)

    def who():
        return guests.ask("/openstack/latest/meta_data.json", guests.address(servers[0]), app=app).json["uuid"]

    first = who()
    answer.json = answers[1]

    assert [first, who()] == [server["id"] for server in servers]


def test_a_proxy_says_which_guest_asks(proxied):
    server = proxied.boot()

    answer = proxied.ask_as(server["id"])

    assert answer.status_code == 200
    assert answer.json["uuid"] == server["id"]


def test_behind_a_proxy_an_address_alone_is_not_enough(proxied):
    server = proxied.boot()

    answer = proxied.ask("/openstack/latest/meta_data.json", proxied.address(server))

    assert answer.status_code == 400
    assert answer.text == "X-Instance-ID header is missing from request.\n"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"secret": "guessed"}, 403),
        ({"X_Instance_ID_Signature": ""}, 403),
        ({"X_Instance_ID_Signature": "\xff\xfe"}, 403),
        ({"project": "another"}, 404),
        ({"X_Tenant_ID": ""}, 400),
        ({"X_Instance_ID": "a, b"}, 400),
    ],
)
def test_a_proxys_word_is_checked(proxied, said, status):
    server = proxied.boot()

    assert proxied.ask_as(server["id"], **said).status_code == status


@pytest.mark.parametrize("server_id", ["8aa773c6-7c1b-4cf2-9ca8-70c1e3de4d85", "nonsense", "x" * 5000])
def test_a_server_the_proxy_made_up_is_unknown(proxied, server_id):
    assert proxied.ask_as(server_id).status_code == 404


@pytest.mark.parametrize(
    "path", ["/nothing", "/openstack/latest/nothing", "/openstack/2999-01-01/meta_data.json", "/%ff%fe", "/%00"]
)
def test_what_is_not_there_is_not_found(guests, path):
    server = guests.boot()

    assert guests.ask(path, guests.address(server)).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
def test_a_guest_may_only_read(guests, method):
    server = guests.boot()

    answer = guests.ask("/openstack/latest/meta_data.json", guests.address(server), method, b"{}")

    assert answer.status_code == 405
    assert sorted(answer.allow) == ["GET", "HEAD"]


def test_head_answers_without_a_body(guests):
    server = guests.boot()

    answer = guests.ask("/latest/meta-data/instance-id", guests.address(server), "HEAD")

    assert (answer.status_code, answer.body) == (200, b"")


def test_a_guest_tells_its_password_once(guests):
    server = guests.boot()
    address = guests.address(server)
    assert guests.ask("/openstack/latest/password", address).text == ""

    first = guests.ask("/openstack/latest/password", address, "POST", b"encrypted")
    second = guests.ask("/openstack/2013-04-04/password", address, "POST", b"another")

    assert (first.status_code, second.status_code) == (200, 409)
    assert guests.ask("/openstack/latest/password", address).text == "encrypted"


@pytest.mark.parametrize("body", [b"", b"x" * 1021, b"\xff\xfe"])
def test_a_password_that_cannot_be_one_is_refused(guests, body):
    server = guests.boot()
    address = guests.address(server)

    answer = guests.ask("/openstack/latest/password", address, "POST", body)

    assert answer.status_code == 400
    assert guests.ask("/openstack/latest/password", address).text == ""


def test_a_version_without_passwords_takes_none(guests):
    server = guests.boot()

    answer = guests.ask("/openstack/2012-08-10/password", guests.address(server), "POST", b"encrypted")

    assert answer.status_code == 404


def test_a_guest_asks_again_when_the_networking_api_is_back(guests):
    server = guests.boot()
    network = guests.cloud.adapters["http://network"]

    network.fault = "refuses"
    away = guests.ask("/latest/meta-data/", guests.address(server))
    network.fault = None
    back = guests.ask("/latest/meta-data/", guests.address(server))

    assert (away.status_code, back.status_code) == (503, 200)
    assert away.text == "The metadata of this server cannot be read now; try again.\n"


def test_no_answer_of_the_conductor_is_no_servers_fault(guests):
    class Away:
        def server(self, *arguments, **options):
            raise errors.Unavailable(service="nova-conductor", reason="it does not answer")

    server = guests.boot()
    networking = Networking(service_adapter(guests.cloud.conf, "neutron", guests.cloud.transport))
    app = application(guests.cloud.conf, Away(), networking)

    assert guests.ask("/latest/meta-data/", guests.address(server), app=app).status_code == 503


def test_a_config_drive_tells_what_the_api_tells(guests):
    server = guests.boot(config_drive=True)

    drive = guests.cloud.guests()[server["id"]].spec.config_drive

    served = guests.ask("/openstack/latest/network_data.json", guests.address(server)).json
    assert json.loads(drive["openstack/latest/network_data.json"]) == served
    assert json.loads(drive["openstack/latest/meta_data.json"])["uuid"] == server["id"]
