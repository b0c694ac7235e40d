"""Security groups of the Networking API. Source: EC2 API reference, "Security groups"."""

import re
from typing import Any

from nova import errors as domain
from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Action, Codes, Listing, action
from nova.api.ec2.listing import path
from nova.api.ec2.permissions import Rule, permissions, read_permissions, same
from nova.api.ec2.vpcs import check_vpc
from nova.clients.rollback import Rollback

Item = dict[str, Any]

_RULE = "os_compute_api:os-security-groups:"
# EC2's characters of names and descriptions.
_WORDS = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
_IN_USE: Codes = {domain.Conflict: "DependencyViolation"}
_TWICE: Codes = {
    domain.QuotaExceeded: "RulesPerSecurityGroupLimitExceeded",
    domain.Conflict: "InvalidPermission.Duplicate",
}


@action(
    "DescribeSecurityGroups",
    policy=f"{_RULE}get",
    takes=("GroupNames",),
    lists=Listing(
        "SecurityGroups",
        "GroupId",
        "GroupIds",
        "sg",
        {
            "group-id": path("GroupId"),
            "group-name": path("GroupName"),
            "description": path("Description"),
            "owner-id": path("OwnerId"),
            "vpc-id": path("VpcId"),
            "ip-permission.protocol": path("IpPermissions", "IpProtocol"),
            "ip-permission.from-port": path("IpPermissions", "FromPort"),
            "ip-permission.to-port": path("IpPermissions", "ToPort"),
            "ip-permission.cidr": path("IpPermissions", "IpRanges", "CidrIp"),
            "ip-permission.ipv6-cidr": path("IpPermissions", "Ipv6Ranges", "CidrIpv6"),
            "ip-permission.group-id": path("IpPermissions", "UserIdGroupPairs", "GroupId"),
            "egress.ip-permission.protocol": path("IpPermissionsEgress", "IpProtocol"),
            "egress.ip-permission.cidr": path("IpPermissionsEgress", "IpRanges", "CidrIp"),
        },
    ),
)
def describe(call: Call) -> list[Item]:
    """The project's groups with their rules."""
    groups = call.services.network.security_groups.of_project(call.project_id)
    names = set(call.given.get("GroupNames", ()))
    missing = names - {group["name"] for group in groups}
    if missing:
        raise errors.BadRequest(f"The security group '{min(missing)[:100]}' does not exist", "InvalidGroup.NotFound")
    tags = call.tags()
    rules = [rule for group in groups for rule in group["security_group_rules"]]
    ids = call.ids.many("sg", [*(group["id"] for group in groups), *(rule.get("remote_group_id") for rule in rules)])
    vpc = call.ids.one("vpc", call.project_id)
    return [
        {
            "GroupId": ids[group["id"]],
            "GroupName": group["name"],
            "Description": group["description"] or "",
            "OwnerId": call.project_id,
            "VpcId": vpc,
            "IpPermissions": permissions(call, group, "ingress", ids),
            "IpPermissionsEgress": permissions(call, group, "egress", ids),
            "Tags": tags.get(str(ids[group["id"]]), []),
        }
        for group in groups
        if not names or group["name"] in names
    ]


@action(
    "CreateSecurityGroup",
    policy=f"{_RULE}create",
    takes=("GroupName", "Description", "VpcId", "TagSpecifications"),
    codes={domain.QuotaExceeded: "SecurityGroupLimitExceeded"},
)
def create(call: Call) -> Item:
    """A group that lets everything out and nothing in."""
    name, description = call.given["GroupName"], call.given["Description"]
    check_vpc(call, call.given.get("VpcId"))
    tags = call.wanted_tags("security-group")
    if call.request.conf.ec2_strict_validation:
        for parameter, text in (("GroupName", name), ("GroupDescription", description)):
            if not _WORDS.fullmatch(text) or (parameter == "GroupName" and text.startswith("sg-")):
                raise errors.bad_value(parameter, text)
    groups = call.services.network.security_groups
    if any(group["name"] == name for group in groups.of_project(call.project_id)):
        raise errors.BadRequest(f"The security group '{name[:100]}' already exists", "InvalidGroup.Duplicate")
    made = groups.create(call.project_id, name, description)
    ec2_id = call.ids.one("sg", made["id"])
    return {"GroupId": ec2_id, "Tags": call.tag(ec2_id, tags)}


@action("DeleteSecurityGroup", policy=f"{_RULE}delete", takes=("GroupId", "GroupName"), codes=_IN_USE)
def delete(call: Call) -> Item:
    """Delete a security group, named by id or by name, that is not in use."""
    group = _own(call)
    if group["name"] == "default":
        # The Networking service lets administrators do it, and is asked with the rights of one.
        raise errors.BadRequest("The default security group cannot be deleted.", "CannotDelete")
    call.services.network.security_groups.delete(group["id"])
    return {"Return": True, "GroupId": call.ids.one("sg", group["id"])}


def _own(call: Call) -> Item:
    """The group of the request, by id or by name. Raises BadRequest, SecurityGroupNotFound."""
    groups = call.services.network.security_groups
    group_id, name = call.given.get("GroupId"), call.given.get("GroupName")
    if (group_id is None) == (name is None):
        raise errors.missing_parameter("GroupId")
    found = call.ids.target("sg", group_id) if group_id is not None else groups.id_of(call.project_id, name)
    group: Item = groups.get(call.project_id, found)
    return group


def _authorize(call: Call, direction: str) -> Item:
    """Add all rules, or none."""
    group = _own(call)
    groups = call.services.network.security_groups
    wanted = read_permissions(call, direction)
    if any(same(rule, has) for rule in wanted for has in group["security_group_rules"]):
        raise errors.BadRequest("The specified rule already exists.", "InvalidPermission.Duplicate")
    with Rollback() as rollback:
        for rule in wanted:
            made = groups.add_rule({**rule, "security_group_id": group["id"], "project_id": call.project_id})
            rollback.made(f"security group rule {made['id']}", groups.delete_rule, made["id"])
    return {"Return": True}


def _revoke(call: Call, direction: str) -> Item:
    """Take all rules away; all are known to be there before one goes."""
    group = _own(call)
    unwanted = [_matching(rule, group["security_group_rules"]) for rule in read_permissions(call, direction)]
    for rule_id in unwanted:
        call.services.network.security_groups.delete_rule(rule_id)
    return {"Return": True}


def _matching(rule: Rule, rules: list[Item]) -> str:
    for has in rules:
        if same(rule, has):
            return str(has["id"])
    raise errors.BadRequest("The specified rule does not exist in this security group.", "InvalidPermission.NotFound")


_PERMISSIONS = tuple(
    f"IpPermissions.{name}"
    for name in (
        *("IpProtocol", "FromPort", "ToPort", "IpRanges.CidrIp", "Ipv6Ranges.CidrIpv6"),
        *("UserIdGroupPairs.GroupId", "UserIdGroupPairs.GroupName", "UserIdGroupPairs.UserId"),
    )
)
_OF_GROUP = ("GroupId", *_PERMISSIONS)
_OLD = ("GroupName", "IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName")


def _change(name: str, direction: str, verb: str) -> Action:
    is_add = verb == "create"
    return action(
        name,
        policy=f"{_RULE}rule:{verb}",
        takes=(*_OF_GROUP, *(_OLD if direction == "ingress" else ())),
        codes=_TWICE if is_add else None,
    )(lambda call: _authorize(call, direction) if is_add else _revoke(call, direction))


authorize_ingress = _change("AuthorizeSecurityGroupIngress", "ingress", "create")
revoke_ingress = _change("RevokeSecurityGroupIngress", "ingress", "delete")
authorize_egress = _change("AuthorizeSecurityGroupEgress", "egress", "create")
revoke_egress = _change("RevokeSecurityGroupEgress", "egress", "delete")
