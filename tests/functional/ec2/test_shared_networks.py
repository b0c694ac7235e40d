"""What another project shares with one is no part of its VPC, and no reason for its servers to have no network of their own."""

import pytest

from tests.functional.ec2.conftest import Ec2

# Neutron grants rights to projects by UUID alone.
PARTNER = "3d0c9a4be0e24c51a7d9f6b8c2e15f77"


@pytest.fixture
def client(make_cloud, real_neutron):
    """A client of the EC2 API of a project with a network of its own, and one that its owner shares with it alone."""
    cloud = make_cloud()
    cloud.stand_beside(neutron=real_neutron)

    def make(owner, name, cidr):
        network = real_neutron.ask("POST", "/networks", {"network": {"name": name}}, owner)["network"]
        subnet = {"network_id": network["id"], "cidr": cidr, "ip_version": 4}
        real_neutron.ask("POST", "/subnets", {"subnet": subnet}, owner)
        return network["id"]

    make(f"partner:{PARTNER}", "own", "10.50.0.0/24")
    shared_id = make("owner:owner", "backbone", "10.40.0.0/24")
    grant = {"object_type": "network", "object_id": shared_id, "action": "access_as_shared", "target_tenant": PARTNER}
    real_neutron.ask("POST", "/rbac-policies", {"rbac_policy": grant}, "owner:owner")
    api = Ec2(cloud)
    yield api.client(project=PARTNER)
    api.stop()


def test_blocks_of_the_vpc_are_those_of_the_projects_own_networks(client):
    (vpc,) = client.describe_vpcs()["Vpcs"]
    (table,) = client.describe_route_tables()["RouteTables"]
    subnets = {each["CidrBlock"]: each for each in client.describe_subnets()["Subnets"]}

    assert [each["CidrBlock"] for each in vpc["CidrBlockAssociationSet"]] == [vpc["CidrBlock"]] == ["10.50.0.0/24"]
    local = [route["DestinationCidrBlock"] for route in table["Routes"] if route["GatewayId"] == "local"]
    assert local == ["10.50.0.0/24"]
    # A server may be on it all the same, where its user says so.
    assert {cidr: each["DefaultForAz"] for cidr, each in subnets.items()} == {
        "10.50.0.0/24": True,
        "10.40.0.0/24": False,
    }
    assert subnets["10.40.0.0/24"]["OwnerId"] == "owner"
