"""Security groups of projects and servers, through the Networking API."""

import uuid
from collections.abc import Sequence
from typing import Any

from nova import errors
from nova.clients.http import segment
from nova.clients.network.grants import granted_ids
from nova.clients.network.http import NetworkingHttp
from nova.clients.ttl_cache import TtlCache

Json = dict[str, Any]

_NAMES_TTL_S = 30
_IDS_TTL_S = 3


class SecurityGroupNotFound(errors.NotFound):
    text = "Security group {group} not found."


class SecurityGroupRuleNotFound(errors.NotFound):
    text = "Rule {rule} not found."


class AmbiguousSecurityGroup(errors.Conflict):
    text = "Multiple security groups found matching '{group}'. Use an ID to be more specific."


class SecurityGroups:
    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http
        self._names: TtlCache[str] = TtlCache(_NAMES_TTL_S)
        self._ids: TtlCache[str] = TtlCache(_IDS_TTL_S)

    def of_project(self, project_id: str | None) -> list[Json]:
        """A project's own groups; of all projects for None."""
        return self._http.find("security_groups", {} if project_id is None else {"project_id": project_id})

    def get(self, project_id: str, group_id: str) -> Json:
        """Raises SecurityGroupNotFound."""
        for group in self._http.find("security_groups", {"id": group_id, "project_id": project_id}):
            return group
        raise SecurityGroupNotFound(group=group_id)

    def visible(self, project_id: str, group_id: str) -> Json:
        """A group of a project, or one that is shared with it. Raises SecurityGroupNotFound."""
        query: Json = {"id": group_id, "project_id": project_id}
        if granted_ids(self._http, project_id, "security_group", [group_id]):
            query = {"id": group_id}
        for group in self._http.find("security_groups", query):
            return group
        raise SecurityGroupNotFound(group=group_id)

    def id_of(self, project_id: str, name_or_id: str) -> str:
        """The id of a project's group; one that others share with it goes by its id alone.

        Raises SecurityGroupNotFound, AmbiguousSecurityGroup.
        """
        if not _is_uuid(name_or_id):
            # A name may stand for another group at any time: the one it stood for is deleted and made anew.
            return self._find_id(project_id, name_or_id)
        return self._ids.get((project_id, name_or_id), lambda: self._find_id(project_id, name_or_id))

    def names(self, group_ids: Sequence[str]) -> dict[str, str]:
        """The names users know groups by; a group without a name goes by its id."""

        def load(missing: Sequence[str]) -> dict[str, str]:
            query = {"id": list(missing), "fields": ["id", "name"]}
            return {group["id"]: group["name"] or group["id"] for group in self._http.find("security_groups", query)}

        return self._names.get_many(group_ids, load)

    def create(self, project_id: str, name: str, description: str) -> Json:
        body = {"name": name, "description": description, "project_id": project_id}
        return self._http.post("security-groups", {"security_group": body})

    def update(self, group_id: str, name: str, description: str) -> Json:
        body = {"name": name, "description": description}
        return self._http.put(f"security-groups/{segment(group_id)}", {"security_group": body})

    def delete(self, group_id: str) -> None:
        self._http.delete(f"security-groups/{segment(group_id)}")

    def add_rule(self, rule: Json) -> Json:
        return self._http.post("security-group-rules", {"security_group_rule": rule})

    def rule(self, project_id: str | None, rule_id: str) -> Json:
        """A rule of a project's, or of any for None. Raises SecurityGroupRuleNotFound."""
        query = {"id": rule_id, **({} if project_id is None else {"project_id": project_id})}
        for rule in self._http.find("security_group_rules", query):
            return rule
        raise SecurityGroupRuleNotFound(rule=rule_id)

    def delete_rule(self, rule_id: str) -> None:
        self._http.delete(f"security-group-rules/{segment(rule_id)}")

    def of_server(self, project_id: str, instance_uuid: str) -> list[Json]:
        """The groups of all ports of a project's server."""
        ports = self._http.ports_of_server(project_id, instance_uuid)
        ids = list(dict.fromkeys(group for port in ports for group in port["security_groups"]))
        return self._http.find("security_groups", {"id": ids}) if ids else []

    def add_to_server(self, project_id: str, instance_uuid: str, group: str) -> None:
        """Put a group on every port of a server that can have one. Raises SecurityGroupNotFound, Invalid."""
        group_id = self._find_id(project_id, group)
        ports = self._http.ports_of_server(project_id, instance_uuid)
        protectable = [port for port in ports if port.get("port_security_enabled", True) and port["fixed_ips"]]
        if not protectable:
            raise errors.Invalid(f"Server {instance_uuid} has no port that could have a security group.")
        for port in protectable:
            if group_id not in port["security_groups"]:
                body = {"port": {"security_groups": [*port["security_groups"], group_id]}}
                self._http.put(f"ports/{port['id']}", body)

    def remove_from_server(self, project_id: str, instance_uuid: str, group: str) -> None:
        """Raises SecurityGroupNotFound, also when no port of the server has the group."""
        ports = self._http.ports_of_server(project_id, instance_uuid)
        # What its ports have is the server's to take off, whosever the group is.
        is_held = any(group in port["security_groups"] for port in ports)
        group_id = group if is_held else self._find_id(project_id, group)
        holders = [port for port in ports if group_id in port["security_groups"]]
        if not holders:
            raise SecurityGroupNotFound(
                f"Security group {group} not associated with the instance {instance_uuid}", group=group
            )
        for port in holders:
            rest = [each for each in port["security_groups"] if each != group_id]
            self._http.put(f"ports/{port['id']}", {"port": {"security_groups": rest}})

    def _find_id(self, project_id: str, name_or_id: str) -> str:
        if _is_uuid(name_or_id):
            query = {"id": name_or_id, "project_id": project_id, "fields": ["id"]}
            groups = self._http.find("security_groups", query)
            if groups:
                return str(groups[0]["id"])
            if granted_ids(self._http, project_id, "security_group", [name_or_id]):
                return name_or_id
        query = {"name": name_or_id, "project_id": project_id, "fields": ["id"]}
        groups = self._http.find("security_groups", query)
        if not groups:
            raise SecurityGroupNotFound(group=name_or_id)
        if len(groups) > 1:
            raise AmbiguousSecurityGroup(group=name_or_id)
        return str(groups[0]["id"])


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
