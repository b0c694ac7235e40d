"""Security groups as this API showed them until 2.35, and those of a server.

Source: Compute API reference, "Security groups (deprecated)", "Security group rules (deprecated)".
"""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.server_filters import is_true
from nova.http.declaration import SERVER, delete, get, post, put
from nova.http.schema import (
    ANY,
    LIMIT,
    STRING,
    UUID,
    Plain,
    arr,
    is_uuid,
    nullable,
    obj,
    optional,
    query,
    required,
    string,
)
from nova.http.view import made

_RULES = "os_compute_api:os-security-groups:"
_UNTIL = "2.35"
_NO_QUERY = query()
# The group that a project's ports have unless their users name others.
_DEFAULT = "default"
_PORT = Plain({"type": ["integer", "null"], "minimum": -1})
_RULE = obj(
    required("id", UUID),
    required("parent_group_id", UUID),
    required("ip_protocol", nullable(STRING)),
    required("from_port", _PORT),
    required("to_port", _PORT),
    required("group", obj(optional("name", STRING), optional("tenant_id", STRING))),
    required("ip_range", obj(optional("cidr", Plain({"type": "string", "format": "cidr"})))),
)
_GROUP = obj(
    required("id", UUID),
    required("name", STRING),
    required("description", nullable(STRING)),
    required("tenant_id", STRING),
    required("rules", arr(_RULE)),
)
_GROUPS = made(obj(required("security_groups", arr(_GROUP))))
_ONE = made(obj(required("security_group", _GROUP)))
_NAMED = obj(
    required(
        "security_group",
        obj(
            required("name", string(minLength=0, maxLength=255)),
            required("description", string(minLength=0, maxLength=255)),
            is_open=True,
        ),
    ),
    is_open=True,
)

Json = dict[str, Any]


@get(
    "/os-security-groups",
    policy=f"{_RULES}get",
    until=_UNTIL,
    query=query(optional("limit", LIMIT), optional("offset", LIMIT), optional("all_tenants", STRING)),
    answer=_GROUPS,
    errors=(400, 404),
)
def index(request: Request) -> Json:
    """Security groups of the project, with offset and limit; of all projects where an administrator asks for them."""
    all_tenants = request.first("all_tenants")
    is_everybodys = all_tenants is not None and is_true(all_tenants, "all_tenants") and request.context.is_admin
    groups = request.services.network.security_groups.of_project(None if is_everybodys else request.context.project_id)
    offset, limit = request.first("offset", 0), request.first("limit", request.conf.api.max_limit)
    return {"security_groups": _group_views(request, groups[offset : offset + limit])}


@get(
    "/os-security-groups/{group_id}",
    policy=f"{_RULES}show",
    until=_UNTIL,
    query=_NO_QUERY,
    answer=_ONE,
    errors=(400, 404),
)
def show(request: Request, group_id: str) -> Json:
    """One group of the project, or one that is shared with it, with its rules."""
    _check_id(group_id)
    group = request.services.network.security_groups.visible(request.context.project_id, group_id)
    return {"security_group": _group_views(request, [group])[0]}


@post("/os-security-groups", policy=f"{_RULES}create", until=_UNTIL, body=_NAMED, answer=_ONE, errors=(400, 403))
def create(request: Request) -> Json:
    """A new group. It lets traffic out and none in. Raises QuotaExceeded."""
    fields = request.body["security_group"]
    try:
        made_group = request.services.network.security_groups.create(
            request.context.project_id, fields["name"], fields["description"]
        )
    except errors.Conflict as error:
        raise error.turned_into(errors.Invalid) from error
    return {"security_group": _group_views(request, [made_group])[0]}


@put(
    "/os-security-groups/{group_id}",
    policy=f"{_RULES}update",
    until=_UNTIL,
    body=_NAMED,
    answer=_ONE,
    errors=(400, 404),
)
def update(request: Request, group_id: str) -> Json:
    """Change name and description of a group. The default one keeps its name."""
    fields = request.body["security_group"]
    name = fields["name"]
    if _own(request, group_id)["name"] == _DEFAULT != name:
        raise errors.Invalid("Unable to update system group 'default'")
    try:
        changed = request.services.network.security_groups.update(group_id, name, fields["description"])
    except errors.Conflict as error:
        raise error.turned_into(errors.Invalid) from error
    return {"security_group": _group_views(request, [changed])[0]}


@delete("/os-security-groups/{group_id}", policy=f"{_RULES}delete", until=_UNTIL, status=202, errors=(400, 404))
def remove(request: Request, group_id: str) -> None:
    """Delete a group. Raises Invalid while a port uses it, and for the project's default one."""
    # This service asks as an administrator, for whom the Networking API would delete that one too, with its rules.
    if _own(request, group_id)["name"] == _DEFAULT:
        raise errors.Invalid("Unable to delete system group 'default'")
    try:
        request.services.network.security_groups.delete(group_id)
    except errors.Conflict as error:
        raise error.turned_into(errors.Invalid) from error


@post(
    "/os-security-group-rules",
    policy=f"{_RULES}rule:create",
    until=_UNTIL,
    body=obj(
        required(
            "security_group_rule",
            obj(
                required("parent_group_id", UUID),
                optional("group_id", nullable(UUID)),
                *(optional(name, ANY) for name in ("to_port", "from_port", "ip_protocol", "cidr")),
                is_open=True,
            ),
        ),
        is_open=True,
    ),
    answer=made(obj(required("security_group_rule", _RULE))),
    errors=(400, 403, 404),
)
def create_rule(request: Request) -> Json:
    """Allow incoming traffic by protocol and ports, from a CIDR or from members of a group."""
    fields = request.body["security_group_rule"]
    _own(request, fields["parent_group_id"])
    protocol = fields.get("ip_protocol")
    cidr = fields.get("cidr")
    rule: Json = {
        "security_group_id": fields["parent_group_id"],
        "direction": "ingress",
        "protocol": None if protocol in (None, "-1", -1) else str(protocol).lower(),
        "port_range_min": _port(fields.get("from_port")),
        "port_range_max": _port(fields.get("to_port")),
        "ethertype": "IPv6" if isinstance(cidr, str) and ":" in cidr else "IPv4",
        "project_id": request.context.project_id,
    }
    if fields.get("group_id"):
        request.services.network.security_groups.visible(request.context.project_id, fields["group_id"])
        rule["remote_group_id"] = fields["group_id"]
    elif cidr is not None:
        rule["remote_ip_prefix"] = str(cidr)
    if protocol is None and not fields.get("group_id"):
        raise errors.Invalid("Not enough parameters to build a valid rule.")
    try:
        made_rule = request.services.network.security_groups.add_rule(rule)
    except errors.Conflict as error:
        raise error.turned_into(errors.Invalid) from error
    return {"security_group_rule": _rule(made_rule, _names(request, [made_rule]), request.context.project_id)}


@delete(
    "/os-security-group-rules/{rule_id}",
    policy=f"{_RULES}rule:delete",
    until=_UNTIL,
    status=202,
    errors=(400, 404, 409),
)
def remove_rule(request: Request, rule_id: str) -> None:
    """Delete a rule of one of the project's groups."""
    _check_id(rule_id)
    groups = request.services.network.security_groups
    rule = groups.rule(None if request.context.is_admin else request.context.project_id, rule_id)
    groups.delete_rule(rule["id"])


@get(
    "/servers/{server_id}/os-security-groups",
    policy=f"{_RULES}list",
    target=SERVER,
    answer=_GROUPS,
    errors=(404,),
)
def index_of_server(request: Request) -> Json:
    """The groups of the server's ports."""
    return {
        "security_groups": _group_views(
            request,
            request.services.network.security_groups.of_server(request.server.project_id, request.server.uuid),
        )
    }


def _own(request: Request, group_id: str) -> Json:
    _check_id(group_id)
    group: Json = request.services.network.security_groups.get(request.context.project_id, group_id)
    return group


def _check_id(group_id: str) -> None:
    if not is_uuid(group_id):
        raise errors.Invalid(f"Security group id should be a uuid: {group_id}")


def _port(value: Any) -> int | None:
    if value in (None, -1, "-1"):
        return None
    if type(value) is int or (isinstance(value, str) and value.isdigit() and len(value) < 6):
        return int(value)
    raise errors.Invalid(f"Invalid port range {value}")


def _group_views(request: Request, groups: list[Json]) -> list[Json]:
    """Groups with the rules that let something in; the others had no words in this API."""
    names = _names(request, [rule for group in groups for rule in group["security_group_rules"]])
    return [
        {
            "id": group["id"],
            "name": group["name"],
            "description": group["description"],
            "tenant_id": group["project_id"],
            "rules": [
                _rule(rule, names, group["project_id"])
                for rule in group["security_group_rules"]
                if rule["direction"] == "ingress"
            ],
        }
        for group in groups
    ]


def _names(request: Request, rules: list[Json]) -> dict[str, str]:
    remote = list(dict.fromkeys(rule["remote_group_id"] for rule in rules if rule.get("remote_group_id")))
    return request.services.network.security_groups.names(remote) if remote else {}


def _rule(rule: Json, names: dict[str, str], project_id: str) -> Json:
    remote = rule.get("remote_group_id")
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    if rule.get("protocol") is not None and low is None and high is None:
        # All ports of a protocol.
        low, high = (1, 65535) if str(rule["protocol"]).upper() != "ICMP" else (-1, -1)
    prefix = rule.get("remote_ip_prefix") or ("::/0" if rule.get("ethertype") == "IPv6" else "0.0.0.0/0")
    return {
        "id": rule["id"],
        "parent_group_id": rule["security_group_id"],
        "ip_protocol": rule.get("protocol"),
        "from_port": low,
        "to_port": high,
        "group": {"name": names.get(remote, remote), "tenant_id": project_id} if remote else {},
        "ip_range": {} if remote else {"cidr": prefix},
    }
