"""Rules of security groups: EC2 gathers those of one protocol and port range, the Networking API has one for each source.

A description of a rule is refused: rules have none here.
"""

import ipaddress
from typing import Any

from nova.api.ec2 import errors
from nova.api.ec2.call import Call

Item = dict[str, Any]
# A rule as the Networking API takes it, without its group.
Rule = dict[str, Any]

_PORTS = ("tcp", "udp")
_NUMBERS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
_HIGHEST_PORT, _HIGHEST_TYPE, _HIGHEST_PROTOCOL = 65535, 255, 255
_FACTS = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)


def permissions(call: Call, group: Item, direction: str, ids: dict[str | None, str | None]) -> list[Item]:
    """The rules of a group in one direction, as EC2 shows them."""
    gathered: dict[tuple[Any, ...], Item] = {}
    for rule in group["security_group_rules"]:
        if rule["direction"] != direction:
            continue
        protocol, low, high = _shown(rule)
        key = (protocol, low, high)
        empty: Item = {"IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []}
        permission = gathered.setdefault(key, {"IpProtocol": protocol, "FromPort": low, "ToPort": high, **empty})
        if rule.get("remote_group_id"):
            pair = {"GroupId": ids.get(rule["remote_group_id"]), "UserId": call.project_id}
            permission["UserIdGroupPairs"].append(pair)
        elif rule.get("ethertype") == "IPv6":
            permission["Ipv6Ranges"].append({"CidrIpv6": rule.get("remote_ip_prefix") or "::/0"})
        else:
            permission["IpRanges"].append({"CidrIp": rule.get("remote_ip_prefix") or "0.0.0.0/0"})
    return list(gathered.values())


def _shown(rule: Rule) -> tuple[str, int | None, int | None]:
    protocol, low, high = rule.get("protocol"), rule.get("port_range_min"), rule.get("port_range_max")
    if protocol is None:
        return "-1", None, None
    protocol = _NUMBERS.get(str(protocol), str(protocol))
    if protocol in _PORTS:
        return protocol, low or 0, _HIGHEST_PORT if high is None else high
    return protocol, -1 if low is None else low, -1 if high is None else high


def same(rule: Rule, other: Rule) -> bool:
    """Whether two rules let in, or out, the same: ids do not count."""
    return _facts(rule) == _facts(other)


def _facts(rule: Rule) -> list[Any]:
    """What makes a rule the same as another: any address is no address, all ports are no ports."""
    facts = {name: rule.get(name) for name in _FACTS}
    facts["protocol"], facts["port_range_min"], facts["port_range_max"] = _shown(rule)
    if facts["remote_ip_prefix"] in ("0.0.0.0/0", "::/0"):
        facts["remote_ip_prefix"] = None
    return list(facts.values())


def read_permissions(call: Call, direction: str) -> list[Rule]:
    """The rules of a request: those of IpPermissions, or the one that its own parameters are. Raises BadRequest."""
    given = call.given
    listed = list(given.get("IpPermissions", ()))
    if "IpProtocol" in given or "SourceSecurityGroupName" in given:
        single: Item = {key: given[key] for key in ("IpProtocol", "FromPort", "ToPort") if key in given}
        if "CidrIp" in given:
            single["IpRanges"] = [{"CidrIp": given["CidrIp"]}]
        if "SourceSecurityGroupName" in given:
            single["UserIdGroupPairs"] = [{"GroupName": given["SourceSecurityGroupName"]}]
        listed.append({"IpProtocol": "-1", **single})
    if not listed:
        raise errors.missing_parameter("IpPermissions")
    rules = [rule for permission in listed for rule in _rules(call, permission, direction)]
    if not rules:
        raise errors.BadRequest("A permission has a range or a group.", "MissingParameter")
    return rules


def _rules(call: Call, permission: Item, direction: str) -> list[Rule]:
    base = {"direction": direction, **_protocol(permission)}
    rules = [base | _prefix(entry.get("CidrIp", ""), 4) for entry in permission.get("IpRanges", ())]
    rules += [base | _prefix(entry.get("CidrIpv6", ""), 6) for entry in permission.get("Ipv6Ranges", ())]
    for pair in permission.get("UserIdGroupPairs", ()):
        rules.append(base | {"ethertype": "IPv4", "remote_group_id": _group(call, pair)})
    return rules


def _protocol(permission: Item) -> Item:
    name = permission.get("IpProtocol", "").lower()
    name = _NUMBERS.get(name, name)
    low, high = permission.get("FromPort"), permission.get("ToPort")
    if name in ("-1", "all"):
        return {"protocol": None, "port_range_min": None, "port_range_max": None}
    is_number = name.isascii() and name.isdigit() and len(name) < 4 and int(name) <= _HIGHEST_PROTOCOL
    if name not in ("tcp", "udp", "icmp", "icmpv6") and not is_number:
        raise errors.bad_value("IpProtocol", name)
    if name in _PORTS:
        if low is None or high is None:
            raise errors.missing_parameter("FromPort")
        if not 0 <= low <= high <= _HIGHEST_PORT:
            raise errors.bad_value("FromPort", low, "Ports are from 0 to 65535, the first not above the last.")
    if name not in _PORTS and not all(value is None or -1 <= value <= _HIGHEST_TYPE for value in (low, high)):
        raise errors.bad_value("FromPort", low)
    everything = (low, high) == (0, _HIGHEST_PORT) or is_number
    low, high = (None if value == -1 or everything else value for value in (low, high))
    return {"protocol": name, "port_range_min": low, "port_range_max": high}


def _prefix(text: str, version: int) -> Item:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise errors.bad_value("CidrIp", text) from error
    if network.version != version or "/" not in text:
        raise errors.bad_value("CidrIp", text)
    return {"ethertype": f"IPv{version}", "remote_ip_prefix": str(network)}


def _group(call: Call, pair: Item) -> str:
    groups = call.services.network.security_groups
    if pair.get("UserId", call.project_id) != call.project_id:
        raise errors.unsupported("UserId", pair["UserId"])
    if "GroupId" in pair:
        return str(groups.get(call.project_id, call.ids.target("sg", pair["GroupId"]))["id"])
    return str(groups.id_of(call.project_id, pair.get("GroupName", "")))
