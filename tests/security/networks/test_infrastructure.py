"""What the cloud makes for a network, its DHCP server, routers and floating IPs, in the hands of who does not own it."""

import pytest
from webob import Request

from nova.http.wsgi import CONTEXT
from nova.network.api import NullDataplane
from nova.network.api.api import Api
from nova.structs.context import Context

# As the Identity service's middleware reads tokens that are of no project.
OF_NO_PROJECT = {
    "unscoped": {"project_id": "", "roles": ()},
    "of a domain": {"project_id": "", "roles": ("member", "reader"), "domain_id": "default"},
    "of a domain's administrator": {"project_id": "", "roles": ("admin",), "is_admin": True, "domain_id": "default"},
    "of a system's reader": {"project_id": "", "roles": ("member", "reader"), "system_scope": "all"},
}


class Token:
    """Requests with an identity as it reaches the API."""

    def __init__(self, api, **identity):
        self._app = Api(api.conf, api.conductor, NullDataplane())
        self._context = Context(user_id="mallory", **identity)

    def ask(self, method, path, body=None):
        request = Request.blank(f"/v2.0/{path}", method=method, environ={CONTEXT: self._context})
        if body is not None:
            request.json = body
        return request.get_response(self._app)


@pytest.fixture
def public(api):
    return api.admin.network(cidr="203.0.113.0/24", name="public", **{"router:external": True})


@pytest.fixture
def shared(api):
    return api.admin.network(cidr="10.1.0.0/24", name="shared", shared=True)


@pytest.fixture
def victim(api):
    return api.project("victim")


@pytest.fixture
def attacker(api):
    return api.project("attacker")


def servants(api):
    return [port for port in api.admin.get("ports")["ports"] if port["device_owner"].startswith("network:")]


@pytest.fixture
def theirs(api, public, victim):
    """The ports of a victim's DHCP server, router and floating IP."""
    network = victim.network()
    victim.join(network, public)
    port = victim.create("ports", network_id=network["id"])
    victim.create("floatingips", floating_network_id=public["id"], port_id=port["id"])
    return servants(api)


@pytest.mark.parametrize("token", OF_NO_PROJECT)
def test_who_has_no_project_reads_and_changes_nothing(api, theirs, token):
    nobody = Token(api, **OF_NO_PROJECT[token])
    paths = [f"ports/{port['id']}" for port in theirs]

    answers = [nobody.ask("GET", path) for path in ("ports", "networks", "extensions", "quotas/victim", *paths)]
    answers += [nobody.ask("PUT", path, {"port": {"device_owner": "", "device_id": ""}}) for path in paths]
    answers += [nobody.ask("DELETE", path) for path in paths]
    answers.append(nobody.ask("POST", "networks", {"network": {"name": "n"}}))

    assert len(theirs) >= 4
    assert {answer.status_int for answer in answers} == {403}
    assert servants(api) == theirs


def test_an_administrator_of_the_whole_system_needs_no_project(api, theirs):
    root = Token(api, project_id="", roles=("admin",), is_admin=True, system_scope="all")

    assert len(root.ask("GET", "ports").json["ports"]) > len(theirs)


def test_what_is_nobodys_is_not_found_by_nobody(api, theirs):
    assert api.conductor.networking("port", {"visible_to": [""]}) == []


def test_a_dhcp_servers_port_is_not_its_networks_owners_whatever_the_rules_say(api, theirs, tmp_path):
    rules = tmp_path / "policy.yaml"
    rules.write_text('"network:update_port": "role:member"\n"network:delete_port": "role:member"\n')
    api.conf.set_override("policy_file", str(rules), group="oslo_policy")
    owner = Token(api, project_id="victim", roles=("member",))
    [server] = [port for port in theirs if port["device_owner"] == "network:dhcp" and "victim" in visible(api, port)]

    changed = owner.ask("PUT", f"ports/{server['id']}", {"port": {"device_owner": "", "device_id": ""}})
    deleted = owner.ask("DELETE", f"ports/{server['id']}")

    assert [changed.status_int, deleted.status_int] == [409, 409]
    assert servants(api) == theirs


def visible(api, port):
    """The project whose network a port is on."""
    return api.admin.get(f"networks/{port['network_id']}")["network"]["project_id"]
