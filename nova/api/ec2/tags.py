"""Tags. A server's are its metadata, so that the Compute API shows them; others' are the EC2 API's alone.

Source: EC2 API reference, "Tags".
"""

from collections.abc import Callable, Iterable
from typing import Any

from nova import errors as domain
from nova.api.ec2 import errors, subnets
from nova.api.ec2.call import Call, check_count, read_tags, tag_list
from nova.api.ec2.declaration import Codes, Listing, action
from nova.api.ec2.ids import kind_of, not_found, written
from nova.api.ec2.listing import path
from nova.structs.ec2 import Tag

Item = dict[str, Any]

_TYPES = {
    "i": "instance",
    "ami": "image",
    "aki": "image",
    "ari": "image",
    "vol": "volume",
    "snap": "snapshot",
    "eni": "network-interface",
    "subnet": "subnet",
    "vpc": "vpc",
    "igw": "internet-gateway",
    "rtb": "route-table",
    "sg": "security-group",
    "eipalloc": "elastic-ip",
    "key": "key-pair",
}
_RULE = "os_compute_api:server-metadata:"
_FULL: Codes = {domain.QuotaExceeded: "TagLimitExceeded"}
_MOST_RESOURCES = 1000


@action("CreateTags", policy=f"{_RULE}create", takes=("Resources", "Tags"), codes=_FULL)
def create(call: Call) -> None:
    """Add tags to things, or replace their values. All things are known to have an id before one is tagged."""
    tags = read_tags(call.given["Tags"])
    servers, others = _resources(call)
    wanted = [Tag(target=ec2_id, key=key, value=value) for ec2_id in others for key, value in tags.items()]
    if wanted:
        call.conductor.change_ec2_tags(call.context, wanted, [])
    for server in servers:
        call.conductor.set_metadata(call.context, server.uuid, tags)


@action("DeleteTags", policy=f"{_RULE}delete", takes=("Resources", "Tags"))
def delete(call: Call) -> None:
    """Without Tags all of them; a tag with a value only if it has this value."""
    given = call.given.get("Tags", ())
    check_count(given)
    unwanted = [(tag.get("Key"), tag.get("Value")) for tag in given]
    servers, others = _resources(call)
    removed = [Tag(target=each, key=key, value=value) for each in others for key, value in unwanted or [(None, None)]]
    if removed:
        call.conductor.change_ec2_tags(call.context, [], removed)
    for server in servers:
        rest = {
            key: value
            for key, value in server.metadata.items()
            if unwanted and (key, None) not in unwanted and (key, value) not in unwanted
        }
        if rest != server.metadata:
            call.conductor.set_metadata(call.context, server.uuid, rest, replace=True)


def _resources(call: Call) -> tuple[list[Any], list[str]]:
    """The servers among the things named, and the ids of the others. Raises BadRequest."""
    wanted = list(dict.fromkeys(call.given["Resources"]))
    if len(wanted) > _MOST_RESOURCES:
        raise errors.bad_value("ResourceId", len(wanted), f"A request names {_MOST_RESOURCES} at most.")
    by_kind: dict[str, list[str]] = {}
    for ec2_id in wanted:
        kind = kind_of(ec2_id)
        if kind not in _TYPES:
            raise errors.bad_value("ResourceId", ec2_id)
        by_kind.setdefault(kind, []).append(ec2_id)
    servers = call.servers(by_kind.pop("i", []))
    for kind, ids in by_kind.items():
        _check_seen(call, kind, ids)
    return servers, [each for ids in by_kind.values() for each in ids]


def _check_seen(call: Call, kind: str, ec2_ids: list[str]) -> None:
    """Raises BadRequest for the first thing that the caller does not see."""
    if kind in ("ami", "aki", "ari"):
        for image_id in call.ids.targets("ami", map(_as_image, ec2_ids)).values():
            call.services.images.get(image_id, call.context)
        return
    if kind == "key":
        seen = {written(kind, pair.id) for pair in call.conductor.keypairs(call.context.user_id)}
    else:
        targets = _SEEN[kind](call)
        seen = {ec2_id for ec2_id, target in call.ids.targets(kind, ec2_ids).items() if target in targets}
    for ec2_id in ec2_ids:
        if ec2_id not in seen:
            raise not_found(kind, ec2_id)


def _ids(things: Iterable[Any]) -> set[str]:
    return {thing["id"] for thing in things}


# The things of a kind that a project sees, by what other APIs call them.
_SEEN: dict[str, Callable[[Call], set[str]]] = {
    "vol": lambda call: {volume.id for volume in call.services.volumes.find(call.context)},
    "snap": lambda call: _ids(call.services.volumes.snapshots(call.context)),
    "sg": lambda call: _ids(call.services.network.security_groups.of_project(call.project_id)),
    "eni": lambda call: _ids(call.services.network.ports_of_project(call.project_id)),
    "eipalloc": lambda call: _ids(call.services.network.floating_ips.of_project(call.project_id)),
    "subnet": lambda call: _ids(subnets.of_project(call)[0]),
    **dict.fromkeys(("vpc", "igw", "rtb"), lambda call: {call.project_id}),
}


def _as_image(ec2_id: str) -> str:
    kind, _, number = ec2_id.partition("-")
    return f"ami-{number}" if kind in ("aki", "ari") else ec2_id


@action(
    "DescribeTags",
    policy=f"{_RULE}index",
    lists=Listing(
        "Tags",
        "_order",
        filters={
            "key": path("Key"),
            "value": path("Value"),
            "resource-id": path("ResourceId"),
            "resource-type": path("ResourceType"),
        },
        wrap=lambda items: [{key: value for key, value in item.items() if key[0] != "_"} for item in items],
    ),
)
def describe(call: Call) -> list[Item]:
    """The tags of the project's things."""
    servers = call.servers()
    ids = call.ids.many("i", (server.uuid for server in servers))
    by_id = call.tags() | {str(ids[server.uuid]): tag_list(server.metadata) for server in servers}
    return [
        {
            "_order": f"{ec2_id} {tag['Key']}",
            "ResourceId": ec2_id,
            "ResourceType": _TYPES[ec2_id.partition("-")[0]],
            **tag,
        }
        for ec2_id, tags in by_id.items()
        for tag in tags
    ]
