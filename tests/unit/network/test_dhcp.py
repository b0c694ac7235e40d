"""What DHCP servers are told of subnets and ports."""

import msgspec

from nova import conf as configuration
from nova.network.host import dhcp, plan
from nova.structs.networking import FixedIp, HostRoute, Network, Port, Subnet

NETWORK = Network(id="n", project_id="p", bridge="br0", mtu=1450)


def subnet(**values):
    defaults = {"id": "s", "project_id": "p", "network_id": "n", "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1"}
    return Subnet(**{**defaults, **values})


def port(**values):
    defaults = {
        "id": "p1",
        "project_id": "p",
        "network_id": "n",
        "mac_address": "fa:16:3e:00:00:01",
        "fixed_ips": (FixedIp("s", "10.0.0.5"),),
    }
    return Port(**{**defaults, **values})


SERVER = port(
    id="d", device_owner="network:dhcp", mac_address="fa:16:3e:00:00:09", fixed_ips=(FixedIp("s", "10.0.0.9"),)
)


def served(subnets, ports=(), network=NETWORK):
    ports = [*ports, SERVER]
    records = plan.Records(networks=[network], subnets=subnets, ports=ports, floating_ips=(), rules=())
    return plan.serve(records)[0]


def options(*subnets, ports=()):
    return dhcp.option_lines(served(subnets, ports), configuration.load([], files=[]))


def hosts(one, *subnets):
    return dhcp.host_lines(one, served(subnets or [subnet()], [one]), configuration.load([], files=[]))


def test_a_port_is_known_by_its_mac_name_and_address():
    assert hosts(port(dns_name="web")) == ["fa:16:3e:00:00:01,web,10.0.0.5"]
    assert hosts(port()) == ["fa:16:3e:00:00:01,host-10-0-0-5,10.0.0.5"]


def test_a_port_on_a_subnet_without_dhcp_is_not_told_of():
    assert hosts(port(), subnet(enable_dhcp=False)) == []


def test_guests_learn_the_way_out_and_the_way_to_the_metadata_service():
    lines = options(subnet(dns_nameservers=("9.9.9.9",)))

    assert "tag:subnet-s,option:router,10.0.0.1" in lines
    assert "tag:subnet-s,121,169.254.169.254/32,10.0.0.9,0.0.0.0/0,10.0.0.1" in lines
    assert "tag:subnet-s,option:dns-server,9.9.9.9" in lines
    assert "tag:subnet-s,option:mtu,1450" in lines


def test_without_name_servers_this_host_answers_for_names():
    assert "tag:subnet-s,option:dns-server,10.0.0.9" in options(subnet())


def test_a_subnet_without_gateway_still_leads_to_the_metadata_service():
    server = port(id="d", device_owner="network:dhcp", fixed_ips=(FixedIp("s", "10.0.0.2"),))
    lines = options(subnet(gateway_ip=None, host_routes=(HostRoute("10.9.0.0/16", "10.0.0.9"),)), ports=[server])

    assert "tag:subnet-s,option:router" in lines
    assert "tag:subnet-s,121,10.9.0.0/16,10.0.0.9,169.254.169.254/32,10.0.0.2" in lines


def test_this_host_is_the_gateway_of_an_external_network_that_does_not_leave_it():
    local, flat = (
        Network(id="n", project_id="p", bridge="br0", is_external=True, network_type=kind) for kind in ("local", "flat")
    )

    assert served([subnet()], network=local).addresses == frozenset({"10.0.0.1/24"})
    assert served([subnet()], network=flat).addresses == frozenset()
    assert served([subnet()]).addresses == frozenset()


def test_a_port_has_options_of_its_own():
    extra = ({"opt_name": "bootfile-name", "opt_value": "pxe", "ip_version": 4},)
    one = port(extra_dhcp_opts=extra)

    assert hosts(one) == ["fa:16:3e:00:00:01,set:port-p1,host-10-0-0-5,10.0.0.5"]
    assert "tag:port-p1,option:bootfile-name,pxe" in options(subnet(), ports=[one])


def names(ports, held=(), **network):
    """The ports that have their names on a shared network of project p."""
    one = served([subnet()], ports, msgspec.structs.replace(NETWORK, shared=True, **network))
    return sorted(dhcp.named_ports(one, set(held)))


def called(port_id, name, project_id, last=5):
    mac = f"fa:16:3e:00:00:{last:02}"
    fixed_ips = (FixedIp("s", f"10.0.0.{last}"),)
    return port(id=port_id, dns_name=name, project_id=project_id, mac_address=mac, fixed_ips=fixed_ips)


def test_a_name_that_another_project_has_is_not_taken_from_it():
    old, new = called("old", "db", "a", 5), called("new", "DB", "b", 6)

    assert names([old, new]) == ["old"]
    # A port that is older may get its name later.
    assert names([old, new], held=[("db", "fa:16:3e:00:00:06")]) == ["new"]
    assert names([old, new], project_id="b") == ["new"]
    assert names([new]) == ["new"]


def test_ports_of_one_project_may_share_a_name():
    assert names([called("one", "db", "a", 5), called("two", "db", "a", 6)]) == ["one", "two"]


def test_nobody_is_called_like_the_address_of_another():
    assert names([called("thief", "host-10-0-0-6", "a", 5), called("own", "host-10-0-0-6", "b", 6)]) == ["own"]
    assert names([called("network's", "host-10-0-0-6", "p", 5)]) == ["network's"]


def test_who_has_no_name_is_called_like_its_address():
    one = called("one", "db", "a")

    [line] = dhcp.host_lines(one, served([subnet()], [one]), configuration.load([], files=[]), is_named=False)

    assert line == "fa:16:3e:00:00:05,host-10-0-0-5,10.0.0.5"
