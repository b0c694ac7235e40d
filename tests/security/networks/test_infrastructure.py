"""What the cloud makes for a network, its DHCP server, routers and floating IPs, in the hands of who does not own it."""

import pytest
from webob import Request

from nova.http.wsgi import CONTEXT
from nova.network.api import NullDataplane
from nova.network.api.api import Api
from nova.network.host import plan, router
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
def admin(api):
    return api.admin


@pytest.fixture
def victim(api):
    return api.project("victim")


@pytest.fixture
def attacker(api):
    return api.project("attacker")


@pytest.fixture
def joined_before(api, shared, public, attacker):
    """A router of the attacker's on the shared network, as an earlier release let it join."""
    port = attacker.create("ports", network_id=shared["id"])
    mine = attacker.create("routers", name="mine", external_gateway_info={"network_id": public["id"]})
    api.conductor.add_router_interface(mine["id"], port["id"])
    return mine["id"], port["id"]


def add_interface(project, router_id, **body):
    return project.ask("PUT", f"routers/{router_id}/add_router_interface", body)


def leading(api):
    """By router, the floating IPs that lead through it on the network host."""
    nouns = ("network", "subnet", "port", "floatingip", "security_group_rule", "router")
    records = plan.Records(*(api.conductor.networking(noun, {}) for noun in nouns))
    planned = router.routed(records, plan.serve(records))
    return {one.router.id: [floating.id for floating in one.floating_ips] for one in planned}


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


def test_no_router_joins_anothers_shared_network_by_a_port(shared, attacker):
    port = attacker.create("ports", network_id=shared["id"])
    mine = attacker.create("routers", name="mine")

    answer = add_interface(attacker, mine["id"], port_id=port["id"])

    shown = attacker.get(f"ports/{port['id']}")["port"]
    assert answer.status_code == 400
    assert (shown["port_security_enabled"], shown["device_id"]) == (True, "")


def test_a_router_joins_its_projects_own_network_by_a_port(attacker):
    port = attacker.create("ports", network_id=attacker.network()["id"])
    mine = attacker.create("routers", name="mine")

    assert add_interface(attacker, mine["id"], port_id=port["id"]).status_code == 200


@pytest.mark.parametrize("given", [{"device_owner": "", "device_id": ""}, {"device_owner": ""}, {"device_id": ""}])
def test_an_unprotected_port_of_a_router_is_never_free(joined_before, attacker, admin, given):
    _, port = joined_before

    answers = [one.update("ports", port, **given) for one in (attacker, admin)]

    shown = attacker.get(f"ports/{port}")["port"]
    assert answers == ["PortInUse", "PortInUse"]
    assert shown["device_owner"] == "network:router_interface"
    assert attacker.update("ports", port, name="still mine")["name"] == "still mine"


def test_a_floating_ip_is_on_no_other_router_of_its_subnet(api, admin, shared, public, victim, joined_before):
    mine, _ = joined_before
    port = victim.create("ports", network_id=shared["id"])
    theirs = admin.create("routers", name="r", external_gateway_info={"network_id": public["id"]})
    admin.update("routers", mine, external_gateway_info=None)
    add_interface(admin, theirs["id"], subnet_id=shared["subnets"][0])
    floating = victim.create("floatingips", floating_network_id=public["id"], port_id=port["id"])
    admin.update("routers", mine, external_gateway_info={"network_id": public["id"]})

    assert floating["router_id"] == theirs["id"]
    assert leading(api) == {mine: [], theirs["id"]: [floating["id"]]}


def test_a_floating_ip_leads_through_its_own_projects_router(api, admin, public, victim):
    network = victim.network()
    admin.join(network, public)
    own = victim.create("routers", name="own", external_gateway_info={"network_id": public["id"]})
    joining, target = (victim.create("ports", network_id=network["id"]) for _ in range(2))
    add_interface(victim, own["id"], port_id=joining["id"])

    floating = victim.create("floatingips", floating_network_id=public["id"], port_id=target["id"])

    assert floating["router_id"] == own["id"]


def test_a_port_that_names_anothers_router_keeps_it_from_nothing(victim, attacker):
    theirs = victim.create("routers", name="theirs")
    port = attacker.create("ports", network_id=attacker.network()["id"], device_id=theirs["id"])

    assert port["device_id"] == theirs["id"]
    assert victim.delete("routers", theirs["id"]) is None
    assert attacker.get(f"ports/{port['id']}")["port"]["id"] == port["id"]


def test_a_router_with_an_interface_is_not_deleted(victim):
    theirs = victim.join(victim.network())

    assert victim.delete("routers", theirs["id"]) == "RouterInUse"


def remove_interface(project, router_id, **body):
    return project.ask("PUT", f"routers/{router_id}/remove_router_interface", body).status_code


def test_a_gateways_port_is_removed_with_the_gateway_alone(admin, public, attacker):
    mine = attacker.create("routers", name="mine", external_gateway_info={"network_id": public["id"]})
    [gateway] = [port for port in admin.ports() if port["device_owner"] == "network:router_gateway"]

    answers = [
        remove_interface(attacker, mine["id"], subnet_id=public["subnets"][0]),
        remove_interface(attacker, mine["id"], port_id=gateway["id"]),
        remove_interface(attacker, mine["id"], subnet_id=public["subnets"]),
    ]

    assert answers == [404, 404, 404]
    assert admin.get(f"ports/{gateway['id']}")["port"] == gateway


def test_a_port_that_only_names_a_router_is_no_interface_of_it(attacker):
    mine = attacker.create("routers", name="mine")
    port = attacker.create("ports", network_id=attacker.network()["id"], device_id=mine["id"])

    assert remove_interface(attacker, mine["id"], port_id=port["id"]) == 404
    assert attacker.get(f"ports/{port['id']}")["port"]["id"] == port["id"]


@pytest.fixture
def street(api):
    """An external network of which the cloud may give half the addresses."""
    pools = {"allocation_pools": [{"start": "203.0.113.100", "end": "203.0.113.200"}]}
    return api.admin.network(cidr="203.0.113.0/24", subnet=pools, name="public", **{"router:external": True})


def floating_at(project, network, address):
    return project.create("floatingips", floating_network_id=network["id"], floating_ip_address=address)


@pytest.mark.parametrize("address", ["203.0.113.1", "203.0.113.7", "203.0.113.150"])
def test_a_member_chooses_no_floating_address(street, attacker, address):
    assert floating_at(attacker, street, address) == "PolicyNotAuthorized"
    assert attacker.create("floatingips", floating_network_id=street["id"])["floating_ip_address"] == "203.0.113.100"


def test_whoever_may_choose_a_floating_address_chooses_one_of_the_pools(api, street, tmp_path):
    rules = tmp_path / "policy.yaml"
    rules.write_text('"network:set_floatingip:floating_ip_address": "role:member"\n')
    api.conf.set_override("policy_file", str(rules), group="oslo_policy")
    member = Token(api, project_id="victim", roles=("member",))

    def ask(address):
        body = {"floatingip": {"floating_network_id": street["id"], "floating_ip_address": address}}
        return member.ask("POST", "floatingips", body).status_int

    assert [ask(f"203.0.113.{number}") for number in (1, 7, 150)] == [400, 403, 201]


def test_an_administrator_gives_any_address_but_the_gateways(admin, street):
    at_gateway = {"network_id": street["id"], "external_fixed_ips": [{"ip_address": "203.0.113.1"}]}

    assert floating_at(admin, street, "203.0.113.7")["floating_ip_address"] == "203.0.113.7"
    assert floating_at(admin, street, "203.0.113.1") == "InvalidInput"
    assert admin.create("routers", name="r", external_gateway_info=at_gateway) == "InvalidInput"


@pytest.mark.parametrize("given", [False, "false", 0])
def test_a_member_does_not_lead_guests_out_under_their_own_addresses(attacker, public, given):
    leads_out = {"network_id": public["id"]}
    kept = attacker.create("routers", name="kept", external_gateway_info=leads_out)
    bare = {**leads_out, "enable_snat": given}

    assert attacker.create("routers", name="bare", external_gateway_info=bare) == "PolicyNotAuthorized"
    assert attacker.update("routers", kept["id"], external_gateway_info=bare) == "PolicyNotAuthorized"
    assert attacker.get(f"routers/{kept['id']}")["router"]["external_gateway_info"]["enable_snat"] is True


def test_an_administrator_decides_on_translation_and_a_member_may_have_it(admin, attacker, public):
    leads_out = {"network_id": public["id"]}
    mine = attacker.create("routers", name="mine", external_gateway_info={**leads_out, "enable_snat": True})

    bare = admin.update("routers", mine["id"], external_gateway_info={**leads_out, "enable_snat": False})
    renamed = attacker.update("routers", mine["id"], name="renamed")
    back = attacker.update("routers", mine["id"], external_gateway_info=leads_out)

    shown = [one["external_gateway_info"]["enable_snat"] for one in (bare, renamed, back)]
    assert shown == [False, False, True]
