"""The clients people use: openstacksdk, which Horizon's and the CLI's network panels stand on, and the CLI itself."""

import json
import os
import socket
import subprocess

import openstack
import pytest

from nova.http.service import HttpService
from nova.network.api import NullDataplane, application


@pytest.fixture
def sdk(demo):
    return openstack.connection.Connection(session=demo.session).network


@pytest.fixture
def admin_sdk(admin):
    return openstack.connection.Connection(session=admin.session).network


def test_the_sdk_makes_finds_changes_and_deletes_networks(sdk):
    network = sdk.create_network(name="private", description="mine")
    subnet = sdk.create_subnet(network_id=network.id, name="sub", ip_version=4, cidr="10.20.0.0/24")
    port = sdk.create_port(network_id=network.id, name="p", fixed_ips=[{"ip_address": "10.20.0.77"}])

    assert sdk.find_network("private").id == network.id
    assert sdk.find_network("nosuch") is None
    assert sdk.find_network("private").subnet_ids == [subnet.id]
    assert [one.id for one in sdk.ports(network_id=network.id, name="p")] == [port.id]
    assert [one.id for one in sdk.ports(fixed_ips="ip_address=10.20.0.77")] == [port.id]
    assert sdk.update_port(port, description="changed").description == "changed"
    with pytest.raises(openstack.exceptions.ConflictException):
        sdk.delete_network(network)
    sdk.delete_port(port)
    sdk.delete_network(network)
    assert list(sdk.networks()) == []


def test_the_sdk_reads_long_lists_page_by_page(sdk):
    for number in range(5):
        sdk.create_network(name=f"n{number}")

    assert sorted(one.name for one in sdk.networks(limit=2)) == ["n0", "n1", "n2", "n3", "n4"]


def test_the_sdk_manages_security_groups(sdk):
    group = sdk.create_security_group(name="web")
    rule = sdk.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=80, port_range_max=80
    )

    assert sorted(one.name for one in sdk.security_groups()) == ["default", "web"]
    assert rule.id in [one["id"] for one in sdk.get_security_group(group).security_group_rules]
    assert [one.id for one in sdk.security_group_rules(security_group_id=group.id, direction="ingress")] == [rule.id]
    sdk.delete_security_group_rule(rule)
    sdk.delete_security_group(group)
    assert [one.name for one in sdk.security_groups()] == ["default"]


def test_the_sdk_leads_a_floating_address_to_a_port(sdk, admin_sdk):
    public = admin_sdk.create_network(name="public", is_router_external=True)
    admin_sdk.create_subnet(network_id=public.id, ip_version=4, cidr="203.0.113.0/24")
    private = sdk.create_network(name="private")
    subnet = sdk.create_subnet(network_id=private.id, ip_version=4, cidr="10.20.0.0/24")
    router = sdk.create_router(name="r", external_gateway_info={"network_id": public.id})
    sdk.add_interface_to_router(router, subnet_id=subnet.id)
    port = sdk.create_port(network_id=private.id)

    floating = sdk.create_ip(floating_network_id=public.id, port_id=port.id)

    assert [one.name for one in sdk.networks(is_router_external=True)] == ["public"]
    assert [one.floating_ip_address for one in sdk.ips(port_id=port.id)] == [floating.floating_ip_address]
    assert sdk.update_ip(floating, port_id=None).status == "DOWN"
    sdk.remove_interface_from_router(router, subnet_id=subnet.id)
    sdk.delete_router(router)
    sdk.delete_ip(floating)
    assert list(sdk.ips()) == []


def test_the_sdk_tags_what_it_made(sdk):
    network = sdk.create_network(name="tagged")

    sdk.set_tags(network, ["red", "blue"])

    assert sdk.get_network(network).tags == ["red", "blue"]
    assert [one.name for one in sdk.networks(tags="red")] == ["tagged"]


def test_the_sdk_reads_what_surrounds_networks(admin_sdk):
    assert "router" in [one.alias for one in admin_sdk.extensions()]
    assert [one.binary for one in admin_sdk.agents()] == ["nova-network"]
    assert {one.resource for one in admin_sdk.availability_zones()} == {"network", "router"}
    assert admin_sdk.get_quota("demo").networks == 100
    assert admin_sdk.update_quota("demo", networks=7).networks == 7
    assert admin_sdk.get_quota("demo", details=True).networks["limit"] == 7


def test_a_project_s_limits_and_the_default_ones_are_numbers_alone(demo):
    """Horizon's page of default quotas makes a number of every value."""
    for path in ("quotas/demo", "quotas/demo/default"):
        assert {type(limit) for limit in demo.get(path)["quota"].values()} == {int}


class Cli:
    """The openstack command, as an administrator of this cloud."""

    def __init__(self, cloud):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        app = application(cloud.conf, cloud.conductor, NullDataplane())
        self.service = HttpService(cloud.conf, "network", app, "127.0.0.1", port, requests=4)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
            "OS_AUTH_TYPE": "admin_token",
            "OS_TOKEN": "admin:admin",
            "OS_ENDPOINT": f"http://127.0.0.1:{port}",
            "PYTHONWARNINGS": "ignore",
        }

    def __call__(self, *commands):
        """What commands print as JSON, in one process: starting the client takes longer than its work."""
        done = subprocess.run(
            ["openstack"], input="\n".join(commands), env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.stderr == ""
        answers, rest, decoder = [], done.stdout.strip(), json.JSONDecoder()
        while rest:
            answer, end = decoder.raw_decode(rest)
            answers.append(answer)
            rest = rest[end:].strip()
        return answers


@pytest.fixture
def cli(cloud):
    cli = Cli(cloud)
    cli.service.start()
    yield cli
    cli.service.stop()


def test_the_cli_makes_a_network_a_subnet_and_a_port(cli):
    network, subnet, port, listed, left = cli(
        "network create private --share -f json",
        "subnet create sub --network private --subnet-range 10.20.0.0/24 -f json",
        "port create p --network private --fixed-ip ip-address=10.20.0.77 -f json",
        "port set p --name q --security-group default",
        "port list --network private -f json",
        "port delete q",
        "network delete private",
        "network list -f json",
    )

    assert network["shared"] is True
    assert subnet["gateway_ip"] == "10.20.0.1"
    assert [one["ip_address"] for one in port["fixed_ips"]] == ["10.20.0.77"]
    # The other one is the DHCP server's.
    assert [one["Name"] for one in listed] == ["", "q"]
    assert left == []
