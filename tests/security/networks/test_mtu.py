"""A tenant's network with packets too small or too large for what is below. It may be no other network's trouble."""

import msgspec
import pytest


@pytest.mark.parametrize("mtu", [1, 67, 1501, 65535])
def test_an_mtu_that_no_network_can_have_is_refused(api, mtu):
    demo = api.project()
    network = demo.create("networks", name="n")

    assert demo.create("networks", name="n", mtu=mtu) == "InvalidInput"
    assert demo.update("networks", network["id"], mtu=mtu) == "InvalidInput"
    assert demo.get(f"networks/{network['id']}")["network"]["mtu"] == network["mtu"]


def test_an_overlay_leaves_room_for_its_own_headers(api):
    wanted = {"name": "n", "provider:network_type": "vxlan"}

    assert api.admin.create("networks", mtu=1451, **wanted) == "InvalidInput"
    assert api.admin.create("networks", mtu=1450, **wanted)["mtu"] == 1450


def test_ipv6_needs_larger_packets(api):
    demo = api.project()
    small, large = demo.create("networks", name="s", mtu=1279), demo.create("networks", name="l", mtu=1280)
    subnet = {"ip_version": 6, "cidr": "fd00:20::/64"}

    assert demo.create("subnets", network_id=small["id"], **subnet) == "InvalidInput"
    assert demo.create("subnets", network_id=large["id"], **subnet)["cidr"] == "fd00:20::/64"
    assert demo.update("networks", large["id"], mtu=1279) == "InvalidInput"
    assert demo.update("networks", small["id"], mtu=68)["mtu"] == 68


def test_a_network_of_an_earlier_release_with_a_senseless_mtu_stops_no_other(world):
    demo = world.cloud.project()
    bad = demo.network(cidr="10.20.0.0/24")
    [record] = world.cloud.conductor.networking("network", {"id": [bad["id"]]})
    with world.cloud.database.transaction() as connection:
        from nova.db import networks

        networks.replace(connection, msgspec.structs.replace(record, mtu=1), record.revision_number)

    guest = world.boot(demo.network(cidr="10.21.0.0/24"))

    assert guest.lease["ip"] == guest.address
