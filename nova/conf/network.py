"""[DEFAULT] of nova-network: networks for a cloud without Neutron.

Where upstream's nova-network had an option of the same meaning, its name is kept.
"""

import ipaddress
from typing import Any, cast

from oslo_config import cfg, types

OPTIONS = [
    cfg.StrOpt("network_api_listen", default="0.0.0.0", help="Address nova-network's Networking API listens on."),
    cfg.PortOpt("network_api_listen_port", default=9696, help="Port of nova-network's Networking API."),
    cfg.BoolOpt(
        "network_dataplane",
        default=True,
        help="Whether nova-network makes bridges, DHCP servers and filters on its host, for which it must be root; "
        "without, networks are records only.",
    ),
    cfg.StrOpt(
        "networks_path",
        default="$state_path/networks",
        help="Directory of what nova-network's DHCP servers read and write.",
    ),
    cfg.StrOpt(
        "flat_network_bridge",
        help="Bridge of the flat network, on every host; a name made from the network's id when unset.",
    ),
    cfg.StrOpt(
        "flat_interface",
        help="Interface that joins the hosts of the cloud: a member of the flat network's bridge. Unset on a cloud of "
        "one host. VXLAN networks go over the interface with my_ip.",
    ),
    cfg.ListOpt(
        "tenant_network_types",
        default=["flat", "vxlan"],
        item_type=types.String(choices=["flat", "vxlan", "local"]),
        help="Types a new network may get, in order of preference. There is one flat network; local ones do not leave "
        "their host.",
    ),
    cfg.StrOpt("vni_range", default="1001:16000", help="First and last VXLAN network identifier given."),
    cfg.StrOpt("vxlan_group", default="239.1.1.1", help="Multicast group over which the hosts' VXLAN devices meet."),
    cfg.IntOpt("network_device_mtu", default=1500, min=576, help="MTU of the interface that joins the hosts."),
    cfg.StrOpt(
        "public_interface",
        help="Interface that leads out of the cloud: routers have a leg (macvlan) on it, with their addresses and floating "
        "IPs. When unset an external network is a bridge of its own, on which this host is the gateway.",
    ),
    cfg.ListOpt(
        "reserved_ranges",
        default=[],
        item_type=cast(Any, ipaddress.ip_network),
        help="Networks of the operator's own (management, storage; 192.0.2.0/24, 2001:db8::/64): no project's subnet may "
        "overlap them, and routers send nothing of guests there. This host's my_ip and metadata_host are refused as well.",
    ),
    cfg.BoolOpt(
        "force_snat",
        default=True,
        help="Whether routers lead guests without a floating IP out, under the router's own address.",
    ),
    cfg.IntOpt("dhcp_lease_time", default=86400, min=120, help="Seconds a DHCP lease lasts."),
    cfg.ListOpt(
        "dns_server",
        default=[],
        help="Name servers that DHCP servers ask for names outside the cloud, through their network's router; those "
        "of the host's resolv.conf when empty.",
    ),
    cfg.StrOpt(
        "dhcpbridge",
        regex=r"^(/[A-Za-z0-9/._+-]{1,254})?\Z",
        help="Path of nova-dhcpbridge, which DHCP servers run for each lease: leases are recorded by the conductor then, and "
        "given back to a server that starts anew, on whatever host. When unset each server keeps them in a file of its "
        "own. It costs a process for each lease whenever a port of its network comes or goes.",
    ),
    cfg.StrOpt("dnsmasq_config_file", default="", help="Further configuration for the DHCP servers."),
    cfg.StrOpt("metadata_host", default="$my_ip", help="Address of the metadata API, as this host reaches it."),
    cfg.PortOpt("metadata_port", default=8775, help="Port of the metadata API."),
    cfg.BoolOpt(
        "allow_same_net_traffic", default=True, help="Whether the default security group lets its members talk."
    ),
    cfg.IntOpt(
        "network_converge_interval",
        default=60,
        min=1,
        help="Seconds between two looks at whether bridges, DHCP and filters are as they should be.",
    ),
    cfg.IntOpt(
        "security_group_refresh_interval",
        default=10,
        min=1,
        help="Seconds after which a compute host follows a change of security groups.",
    ),
    cfg.IntOpt("quota_network", default=100, min=-1, help="Networks of a project; -1 is unlimited."),
    cfg.IntOpt("quota_subnet", default=100, min=-1, help="Subnets of a project."),
    cfg.IntOpt("quota_port", default=500, min=-1, help="Ports of a project."),
    cfg.IntOpt("quota_security_group", default=10, min=-1, help="Security groups of a project."),
    cfg.IntOpt("quota_security_group_rule", default=100, min=-1, help="Security group rules of a project."),
    cfg.IntOpt("quota_router", default=10, min=-1, help="Routers of a project."),
    cfg.IntOpt("quota_floatingip", default=50, min=-1, help="Floating IPs of a project."),
]
