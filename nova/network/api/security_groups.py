"""Security groups and their rules. Source: Networking API v2.0 reference, "Security groups".

Every project has a group "default", added when it is first needed: everything out, and everything
in from its own members.
"""

import ipaddress
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from nova.errors import Conflict, Invalid, PolicyDenied
from nova.network.api import fields
from nova.network.api.fields import Field
from nova.network.api.resource import Call, Resource, common_view
from nova.structs.networking import AnyRecord, SecurityGroup, SecurityGroupRule
from nova.structs.security_group_rules import PROTOCOLS, first_rules

DEFAULT = "default"
# DCCP and UDP-Lite have ports too, which filters here do not tell apart: connections of theirs are not tracked.
WITH_PORTS = ("tcp", "udp", "sctp", "6", "17", "132")
ICMP = ("icmp", "icmpv6", "ipv6-icmp", "1", "58")


def default_group(call: Call, project_id: str) -> SecurityGroup:
    """The project's default group, added when it is first needed."""
    return call.store.default_security_group(project_id, call.conf.allow_same_net_traffic)


class SecurityGroups(Resource):
    noun = "security_group"
    plural = "security_groups"
    path = "security-groups"
    fields = (*fields.COMMON, Field("stateful", fields.boolean, default=True))
    shown = ("security_group_rules", "shared")
    columns = {"id": "id", "name": "name", "project_id": "project_id", "tenant_id": "project_id"}

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """The group comes with rules that let everything out. Raises Conflict for the name "default"."""
        _check_stateful(values)
        default_group(call, values["project_id"])
        if values["name"] == DEFAULT:
            raise Conflict("Default security group already exists.")
        group = SecurityGroup(id=str(uuid.uuid4()), **values)
        return [group, *first_rules(group)]

    def change(self, call: Call, record: SecurityGroup, values: dict[str, Any]) -> AnyRecord:
        """Raises Conflict where the group "default" would be renamed, or another one would be called so."""
        _check_stateful(values)
        renamed = values.get("name", record.name) != record.name
        if renamed and (record.default_of or values["name"] == DEFAULT):
            raise Conflict("The default security group keeps its name, and its name is its own.")
        return msgspec.structs.replace(record, **values)

    def check_delete(self, call: Call, record: SecurityGroup) -> None:
        """Raises CannotRemoveDefault, but for a caller who sees everything."""
        if record.default_of and not call.sees_everything:
            raise CannotRemoveDefault()

    def before_list(self, call: Call, where: dict[str, list[Any]]) -> None:
        for project_id in where.get("project_id", [call.context.project_id]):
            if project_id and (project_id == call.context.project_id or call.sees_everything):
                default_group(call, project_id)

    def views(self, call: Call, records: Sequence[SecurityGroup]) -> list[dict[str, Any]]:
        rules: dict[str, list[dict[str, Any]]] = {record.id: [] for record in records}
        if records:
            where = {"security_group_id": list(rules)} if len(records) < 100 else {}
            for rule in call.records(SecurityGroupRule, **where):
                rules.setdefault(rule.security_group_id, []).append(rule_view(rule))
        return [
            common_view(record) | {"stateful": True, "shared": False, "security_group_rules": rules[record.id]}
            for record in records
        ]


class CannotRemoveDefault(Conflict):
    text = "Removing default security group not allowed."


class SecurityGroupRules(Resource):
    noun = "security_group_rule"
    plural = "security_group_rules"
    path = "security-group-rules"
    fields = (
        fields.DESCRIPTION,
        fields.PROJECT,
        Field("security_group_id", fields.uuid_text, put=False),
        Field("direction", fields.one_of("ingress", "egress"), put=False),
        Field("ethertype", fields.optional(fields.one_of("IPv4", "IPv6")), default="IPv4", put=False),
        Field("protocol", fields.optional(lambda value: _protocol(value)), default=None, put=False),
        Field("port_range_min", fields.optional(fields.integer(0, 65535)), default=None, put=False),
        Field("port_range_max", fields.optional(fields.integer(0, 65535)), default=None, put=False),
        Field("remote_ip_prefix", fields.optional(fields.prefix), default=None, put=False),
        Field("remote_group_id", fields.optional(fields.uuid_text), default=None, put=False),
        Field("remote_address_group_id", fields.optional(fields.uuid_text), default=None, put=False),
    )
    shown = ("normalized_cidr", "belongs_to_default_sg")
    columns = {
        "id": "id",
        "project_id": "project_id",
        "tenant_id": "project_id",
        "security_group_id": "security_group_id",
        "remote_group_id": "remote_group_id",
    }

    def build(self, call: Call, values: dict[str, Any]) -> list[AnyRecord]:
        """The rule is the group's project's, whoever adds it. Raises Invalid, PolicyDenied."""
        if values.pop("remote_address_group_id"):
            raise Invalid("There are no address groups here.")
        group = call.get("security_group", values["security_group_id"])
        if not call.allows("network:create_security_group_rule", {"project_id": group.project_id}):
            raise PolicyDenied(action="network:create_security_group_rule")
        if values["remote_group_id"]:
            call.get("security_group", values["remote_group_id"])
        values["ethertype"] = values["ethertype"] or "IPv4"
        values["project_id"] = group.project_id
        rule = SecurityGroupRule(id=str(uuid.uuid4()), **values)
        _check_rule(rule)
        return [rule]

    def before_list(self, call: Call, where: dict[str, list[Any]]) -> None:
        if call.context.project_id:
            default_group(call, call.context.project_id)

    def views(self, call: Call, records: Sequence[SecurityGroupRule]) -> list[dict[str, Any]]:
        return [rule_view(record) for record in records]


def _check_stateful(values: dict[str, Any]) -> None:
    if values.pop("stateful", True) is False:
        raise Invalid("Invalid input for stateful. Reason: security groups here are stateful.")


def _protocol(value: Any) -> str | None:
    text = str(value).lower()
    if text in ("any", "-1", ""):
        return None
    if text in PROTOCOLS:
        return text
    number = fields.integer(0, 255)(value)
    return str(number)


def _check_rule(rule: SecurityGroupRule) -> None:
    low, high = rule.port_range_min, rule.port_range_max
    if rule.remote_ip_prefix and rule.remote_group_id:
        raise Invalid("Only remote_ip_prefix or remote_group_id may be provided.")
    if rule.remote_ip_prefix:
        version = ipaddress.ip_network(rule.remote_ip_prefix).version
        if rule.ethertype != f"IPv{version}":
            raise Invalid(f"Conflicting value ethertype {rule.ethertype} for CIDR {rule.remote_ip_prefix}")
    if rule.ethertype == "IPv4" and rule.protocol in ("icmpv6", "ipv6-icmp", "58"):
        raise Invalid(f"Invalid ethertype IPv4 for protocol {rule.protocol}.")
    if low is None and high is None:
        return
    if rule.protocol in ICMP:
        if low is None or max(low, high or 0) > 255:
            raise Invalid("ICMP type and code are numbers up to 255, and a code needs a type.")
    elif rule.protocol in WITH_PORTS:
        if low is None or high is None or low > high:
            raise Invalid(f"For {rule.protocol}, port_range_min must be <= port_range_max, and both be given.")
    else:
        raise Invalid(f"Port range cannot be specified for protocol {rule.protocol or 'any'}.")


def rule_view(record: SecurityGroupRule) -> dict[str, Any]:
    view = common_view(record) | {
        "security_group_id": record.security_group_id,
        "direction": record.direction,
        "ethertype": record.ethertype,
        "protocol": record.protocol,
        "port_range_min": record.port_range_min,
        "port_range_max": record.port_range_max,
        "remote_ip_prefix": record.remote_ip_prefix,
        "remote_group_id": record.remote_group_id,
        "remote_address_group_id": None,
        "normalized_cidr": record.remote_ip_prefix,
        "belongs_to_default_sg": False,
    }
    del view["name"]
    return view
