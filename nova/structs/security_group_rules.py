"""What is known of security group rules wherever they are checked, stored or enforced."""

import uuid
from typing import Any

from nova.structs.networking import SecurityGroup, SecurityGroupRule

# Names the Networking API knows; any other protocol is its number. Source: IANA protocol numbers.
PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipip": 4,
    "tcp": 6,
    "egp": 8,
    "udp": 17,
    "dccp": 33,
    "ipv6-encap": 41,
    "ipv6-route": 43,
    "ipv6-frag": 44,
    "rsvp": 46,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ospf": 89,
    "pgm": 113,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}


def first_rules(group: SecurityGroup, trusts_members: bool = False) -> list[SecurityGroupRule]:
    """The rules of a new group: everything out; with trusts_members also everything in from its own members."""
    rules = []
    for ethertype in ("IPv4", "IPv6"):
        rules.append(_rule(group, direction="egress", ethertype=ethertype))
        if trusts_members:
            rules.append(_rule(group, direction="ingress", ethertype=ethertype, remote_group_id=group.id))
    return rules


def _rule(group: SecurityGroup, **values: Any) -> SecurityGroupRule:
    return SecurityGroupRule(id=str(uuid.uuid4()), project_id=group.project_id, security_group_id=group.id, **values)
