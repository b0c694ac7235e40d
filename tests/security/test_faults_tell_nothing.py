"""What a project reads of its servers' faults says nothing of the cloud: no host, path, socket or address of it.

Administrators are told everything, in the same places.
"""

import importlib
import json
import pkgutil
import string

import pytest

import nova
from nova import errors
from nova.clients.http import Service
from nova.rpc import server as rpc_server
from tests.functional.cloud import wait

NETWORK = "http://network/v2.0"
HOST, PATH, ADDRESS = "secret-host", "/secret/path", "192.0.2.66"
SOCKET = "qemu+unix:///system?socket=/secret/path/libvirt-sock"
MARKERS = (HOST, PATH, ADDRESS, SOCKET, "secret-physical")
SECRETS = {
    "host": HOST,
    "node": HOST,
    "address": ADDRESS,
    "physical_network": "secret-physical",
    "missing": [f"{PATH}/disk"],
}


def every_class(root=errors.DomainError):
    for module in pkgutil.walk_packages(nova.__path__, "nova."):
        # What starts a daemon when it is imported has no errors of its own.
        if not module.name.startswith(("nova.wsgi", "nova.cmd")) and ".migrations." not in module.name:
            importlib.import_module(module.name)
    return sorted(set(tree(root)), key=lambda one: (one.__module__, one.__name__))


def tree(kind):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def details_of(kind):
    """A value for everything that its texts name; secret ones for what names a part of the cloud."""
    details = {"missing": SECRETS["missing"]}
    for template in filter(None, (kind.text, kind.text_for_users)):
        for _, field, form, _ in string.Formatter().parse(template):
            if field is not None:
                details[field] = SECRETS.get(field, 1.0 if form else f"a {field}")
    return details


def across_the_bus(error):
    """The error as the other side of the bus has it."""
    failure = json.loads(json.dumps(rpc_server._failure(error)))["error"]
    return errors.by_name(failure["type"])(failure["message"], **failure["details"])


def secrets_in(text):
    return [marker for marker in MARKERS if marker in str(text)]


@pytest.mark.parametrize("kind", every_class(), ids=lambda kind: kind.__name__)
def test_no_error_tells_users_of_the_cloud(kind):
    details = details_of(kind)
    error = kind(**details, detail=f"{SOCKET}: no such file")

    received = across_the_bus(error)

    assert secrets_in(error.for_users) == secrets_in(received.for_users) == []
    assert received.for_users == error.for_users
    assert received.message == error.message
    assert SOCKET in received.message
    assert received.told(is_admin=True) == error.message
    # What the text names is named to administrators.
    named = [SECRETS[field] for field in details if field in SECRETS and f"{{{field}}}" in kind.text]
    assert all(str(value) in error.message for value in named)


def test_a_message_given_outright_stays_as_it_is():
    error = across_the_bus(errors.Conflict("The password is set already."))

    assert error.for_users == error.message == "The password is set already."
    assert error.for_administrators is None


def test_an_error_of_another_release_is_told_to_administrators_alone():
    error = errors.by_name("ErrorOfTheNextRelease")(f"Host {HOST} is odd.", host=HOST)

    assert secrets_in(error.for_users) == []
    assert HOST in error.for_administrators


def test_an_error_turned_into_another_kind_keeps_what_it_hides():
    error = errors.HostUnreachable(host=HOST).turned_into(errors.Invalid)

    assert error.status == 400
    assert error.for_users == "The server's host does not answer."
    assert HOST in error.for_administrators


# What other services say


class Answering:
    """An adapter's session with one answer."""

    def __init__(self, status, text):
        self.status_code, self.text, self.content = status, text, text.encode()
        self.session = self
        self.timeout = 1

    def request(self, *args, **options):
        return self

    def json(self):
        return json.loads(self.text)


@pytest.mark.parametrize(
    "text, body",
    [
        (f"<html>502 from proxy {HOST}, upstream http://{ADDRESS}:8776{PATH}</html>", None),
        (json.dumps({"badRequest": {"message": f"{HOST} cannot reach {PATH}"}}), {"attachment": {"connector": {}}}),
        (json.dumps({"HostNotFound": {"message": f"no {HOST}"}}), {"ports": [{"binding:host_id": HOST}]}),
    ],
)
def test_a_neighbours_refusal_is_told_to_administrators_where_it_may_tell_of_hosts(text, body):
    service = Service("The Block Storage service", Answering(400, text))

    with pytest.raises(errors.Invalid) as raised:
        service.answer("POST", "/attachments", json=body)

    assert raised.value.for_users == "The Block Storage service refused the request."
    assert HOST in raised.value.for_administrators


def test_a_neighbours_words_on_what_a_user_asked_for_reach_the_user():
    text = json.dumps({"badRequest": {"message": "Invalid volume type."}})

    with pytest.raises(errors.Invalid) as raised:
        Service("The Block Storage service", Answering(400, text)).answer("POST", "/volumes", json={"volume": {}})

    assert raised.value.for_users == "Invalid volume type."


# From end to end


@pytest.fixture
def cloud(make_cloud):
    cloud = make_cloud("[DEFAULT]\nservice_down_time = 4\n")
    cloud.add_host(HOST)
    return cloud


def told(client, server_id):
    """All that somebody can read of what went wrong with a server."""
    actions = client.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
    server = client.server(server_id)
    texts = [server.get("fault"), *actions]
    for action in actions:
        answer = client.get(f"/servers/{server_id}/os-instance-actions/{action['request_id']}")
        texts.append(answer.json()["instanceAction"])
    listed = client.get("/servers/detail?all_tenants=1" if "admin" in str(client.headers) else "/servers/detail").json()
    texts += [one.get("fault") for one in listed["servers"]]
    return json.dumps([text for text in texts if text], ensure_ascii=False)


def by_all(cloud, server_id):
    return told(cloud.client(), server_id), told(cloud.client("admin", "admin"), server_id)


def failed_action(client, server_id, name):
    def look():
        actions = client.get(f"/servers/{server_id}/os-instance-actions").json()["instanceActions"]
        return [one["message"] for one in actions if one["action"] == name and one["message"]]

    return wait(look, f"{name} has failed")[0]


def full(cloud):
    return cloud.hypervisor(HOST).name


def test_a_host_that_refuses_is_known_to_administrators_alone(cloud):
    error = errors.HostRefused(host=full(cloud), reason="it is full", detail=f"{PATH}: no room")
    cloud.hypervisor(HOST).fail("create", error)
    server = cloud.client().create_server(wait_for="ERROR")

    users, administrators = by_all(cloud, server["id"])

    assert secrets_in(users) == []
    assert "No valid host was found." in server["fault"]["message"]
    assert "details" not in server["fault"]
    assert full(cloud) in administrators
    assert PATH in administrators
    assert full(cloud) in cloud.client("admin", "admin").server(server["id"])["fault"]["details"]


def test_a_hypervisors_words_are_known_to_administrators_alone(cloud):
    error = errors.GuestFailed(reason="The hypervisor failed", detail=f"Cannot open {PATH}/disk: {SOCKET}")
    cloud.hypervisor(HOST).fail("create", error)
    server = cloud.client().create_server(wait_for="ERROR")

    users, administrators = by_all(cloud, server["id"])

    assert secrets_in(users) == []
    assert "The hypervisor failed" in server["fault"]["message"]
    assert SOCKET in administrators


def test_a_defect_in_a_driver_is_known_to_administrators_alone(cloud):
    cloud.hypervisor(HOST).fail("create", FileNotFoundError(2, "No such file or directory", f"{PATH}/disk"))
    server = cloud.client().create_server(wait_for="ERROR")

    users, administrators = by_all(cloud, server["id"])

    assert secrets_in(users) == []
    assert PATH in administrators
    assert full(cloud) in administrators


def test_a_host_without_room_is_known_to_administrators_alone(cloud):
    cloud.hypervisor(HOST).fail("create", errors.DiskFull(host=full(cloud)))
    server = cloud.client().create_server(wait_for="ERROR")

    users, administrators = by_all(cloud, server["id"])

    assert secrets_in(users) == []
    assert f"Host {full(cloud)} has no room" in administrators


def test_a_host_that_does_not_answer_in_time_is_known_to_administrators_alone(cloud):
    # Its deadline is ten minutes: nobody waits for that here.
    late = errors.StepTimedOut(host=full(cloud), step="reboot_guest", timeout_s=600)
    user = cloud.client()
    server = user.create_server()
    cloud.boundary.raise_at("reboot", "reboot_guest", "done", late)
    assert user.act(server["id"], "reboot", {"type": "HARD"}).status_code == 202
    message = failed_action(user, server["id"], "reboot")

    users, administrators = by_all(cloud, server["id"])

    assert message == "The server's host did not answer 'reboot_guest' within 600 s."
    assert secrets_in(users) == []
    assert f"Host {full(cloud)} did not answer" in administrators


def test_a_host_that_is_down_is_known_to_administrators_alone(cloud):
    user = cloud.client()
    server = user.create_server()
    cloud.stop_host(HOST)
    assert user.act(server["id"], "reboot", {"type": "HARD"}).status_code == 202
    message = failed_action(user, server["id"], "reboot")

    users, administrators = by_all(cloud, server["id"])

    assert message == "The server's host does not answer."
    assert secrets_in(users) == []
    assert f"Host {full(cloud)} does not answer." in administrators


def test_an_answer_of_the_api_names_no_host_but_to_administrators(cloud):
    user = cloud.client()
    made = user.post("/networks", {"network": {"name": "mine"}}, url=NETWORK).json()["network"]["id"]
    subnet = {"network_id": made, "cidr": "10.66.6.0/24", "ip_version": 4}
    assert user.post("/subnets", {"subnet": subnet}, url=NETWORK).status_code == 201
    server = user.create_server()
    answers = []
    for client in (user, cloud.client("admin", "admin")):
        cloud.hypervisor(HOST).fail("attach_vif", errors.GuestFailed(reason="The hypervisor failed", detail=PATH))
        request = {"interfaceAttachment": {"net_id": made}}
        answers.append(client.post(f"/servers/{server['id']}/os-interface", request).json())
        user.wait(server["id"], "ACTIVE")

    assert answers[0]["computeFault"]["message"] == "The hypervisor failed"
    assert answers[1]["computeFault"]["message"] == f"The hypervisor failed ({PATH})"
