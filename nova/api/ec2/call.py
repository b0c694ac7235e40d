"""One call of an action as its handler sees it: the parameters, the caller, and a request of the Compute API.

Handlers do what the Compute API does, in its words: `request` is a request of its newest version in the same name.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sized
from dataclasses import dataclass
from typing import Any

import msgspec

from nova.api.compute.request import Request, Services
from nova.api.ec2 import errors, ids
from nova.api.ec2.ids import Ids
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context
from nova.structs.ec2 import Tag
from nova.structs.instance import Instance
from nova.structs.requests import ServerQuery


@dataclass
class Call:
    request: Request
    given: dict[str, Any]
    ids: Ids

    @property
    def context(self) -> Context:
        return self.request.context

    @property
    def project_id(self) -> str:
        return self.context.project_id

    @property
    def services(self) -> Services:
        return self.request.services

    @property
    def conductor(self) -> ConductorCalls:
        return self.request.services.conductor

    def server(self, ec2_id: str) -> Instance:
        """A server of the caller's project. Raises BadRequest for an id that is none's here."""
        return self.servers([ec2_id])[0]

    def servers(self, ec2_ids: Iterable[str] | None = None, **query: Any) -> list[Instance]:
        """Servers of the caller's project, those named or all. Raises BadRequest for the first that is not there."""
        if ec2_ids is None:
            return self.conductor.servers(self.context, ServerQuery(project_id=self.project_id, **query))
        targets = self.ids.targets("i", ec2_ids)
        wanted = ServerQuery(project_id=self.project_id, uuids=tuple(targets.values()), **query)
        by_uuid = {server.uuid: server for server in self.conductor.servers(self.context, wanted)} if targets else {}
        for ec2_id, uuid in targets.items():
            if uuid not in by_uuid:
                raise ids.not_found("i", ec2_id)
        return [by_uuid[uuid] for uuid in targets.values()]

    def on(self, server: Instance, body: Any = None) -> Request:
        """The request on a server, for a handler of the Compute API."""
        request = Request(self.context, self.request.version, self.services, self.request.base_url, "", body)
        request.server = server
        return request

    def operate(self, server: Instance, operation: str, /, **arguments: Any) -> Instance:
        return self.conductor.operate(self.context, server.uuid, operation, arguments)

    def tags(self) -> dict[str, list[dict[str, str]]]:
        """The tags of the project's things that are no servers, by EC2's ids."""
        by_id: dict[str, list[dict[str, str]]] = {}
        for tag in self.conductor.ec2_tags(self.context):
            by_id.setdefault(tag.target, []).append({"Key": tag.key or "", "Value": tag.value or ""})
        return by_id

    def tag(self, ec2_id: str, wanted: dict[str, str]) -> list[dict[str, str]]:
        """Put the tags of a request on a new thing that is no server."""
        if wanted:
            tags = [Tag(target=ec2_id, key=key, value=value) for key, value in wanted.items()]
            self.conductor.change_ec2_tags(self.context, tags, [])
        return tag_list(wanted)

    def wanted_tags(self, kind: str) -> dict[str, str]:
        """The tags of TagSpecifications, which may name one type. Raises BadRequest."""
        wanted: dict[str, str] = {}
        for specification in self.given.get("TagSpecifications", ()):
            if specification.get("ResourceType") != kind:
                raise errors.bad_value("TagSpecification.ResourceType", specification.get("ResourceType"))
            wanted |= read_tags(specification.get("Tags", ()))
        check_count(wanted)
        return wanted

    def digest(self) -> str:
        """What tells this call from one that asks for something else."""
        text = json.dumps(msgspec.to_builtins(self.given), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


# Of one thing, and so of one request.
_MOST_TAGS = 50
_LONGEST_KEY, _LONGEST_VALUE = 127, 255


def check_count(tags: Sized) -> None:
    """Raises BadRequest for more tags than a thing has, before any of a request's things gets one."""
    if len(tags) > _MOST_TAGS:
        raise errors.BadRequest(f"A resource has {_MOST_TAGS} tags at most.", "TagLimitExceeded")


def read_tags(tags: Collection[dict[str, str]]) -> dict[str, str]:
    """Raises BadRequest for keys and values that no tag has, and for too many tags."""
    check_count(tags)
    read: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not key or len(key) > _LONGEST_KEY or key.startswith("aws:"):
            raise errors.bad_value("Tag.Key", key)
        if len(value) > _LONGEST_VALUE:
            raise errors.bad_value("Tag.Value", value, f"It has {_LONGEST_VALUE} characters at most.")
        if key in read:
            raise errors.bad_value("Tag.Key", key, "It is there twice.")
        read[key] = value
    return read


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
