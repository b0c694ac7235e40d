"""What DHCP servers are told of subnets and ports."""

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
