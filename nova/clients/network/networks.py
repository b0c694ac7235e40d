"""Networks and subnets of the Networking API, cached: they change seldom and are asked for with every server."""

from collections.abc import Iterable, Sequence
from typing import Any

from nova import errors
from nova.clients.http import segment
from nova.clients.network.grants import RBAC, everybodys_ids, granted_ids
from nova.clients.network.http import NetworkingHttp
from nova.clients.ttl_cache import TtlCache
from nova.structs.network import NetworkRequest

Json = dict[str, Any]

# Short, because a project may create a network and boot a server on it at once.
_USABLE_TTL_S = 3
_FACTS_TTL_S = 30


class Networks:
    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http
        self._usable: TtlCache[list[Json]] = TtlCache(_USABLE_TTL_S)
        self._networks: TtlCache[Json] = TtlCache(_FACTS_TTL_S)
        self._subnets: TtlCache[Json] = TtlCache(_FACTS_TTL_S)

    def usable(self, project_id: str) -> list[Json]:
        """The networks that a project's servers may get unasked: its own, and those that all share, as far as they are up.

        What one other project shares with it is not among them: anybody could bring its servers onto a network so.
        """

        def load() -> list[Json]:
            return [network for network in self._own_and_shared(project_id) if network.get("admin_state_up", True)]

        networks = self._usable.get(project_id, load)
        if not networks:
            # Whoever has none yet makes one, and a server on it at once.
            self._usable.forget(lambda key: key == project_id)
        return networks

    def of_project(self, project_id: str, ids: Sequence[str] | None = None) -> list[Json]:
        """The networks that a project may name, as they are now. ids: of these alone."""
        networks = self._own_and_shared(project_id, ids)
        known = {network["id"] for network in networks}
        granted = [each for each in granted_ids(self._http, project_id, "network", ids) if each not in known]
        return networks + (self._http.find("networks", {"id": granted}) if granted else [])

    def forget_usable(self) -> None:
        """For who has just made or deleted a network; other processes see it when their answer is too old."""
        self._usable.forget()

    def default_request(self, project_id: str) -> Sequence[NetworkRequest]:
        """The networks of a server that names none: the project's one network. Raises MultipleNetworks."""
        networks = [network for network in self.usable(project_id) if network.get("subnets")]
        if len(networks) > 1:
            raise errors.MultipleNetworks()
        return [NetworkRequest(network_id=network["id"]) for network in networks]

    def auto_request(self, project_id: str) -> NetworkRequest:
        """The project's one network, which the Networking service makes when there is none.

        Raises MultipleNetworks; Invalid where it cannot be made.
        """
        for request in self.default_request(project_id):
            return request
        try:
            topology = self._http.get(f"auto-allocated-topology/{segment(project_id)}", "auto_allocated_topology")
        except (errors.NotFound, errors.Conflict, errors.Invalid) as error:
            raise _no_auto_allocation(project_id) from error
        self.forget_usable()
        return NetworkRequest(network_id=topology["id"])

    def check_auto(self, project_id: str) -> None:
        """Whether auto_request() will have a network, without making one. Raises what that raises."""
        if self.default_request(project_id):
            return
        if not self._http.has("auto-allocated-topology"):
            raise _no_auto_allocation(project_id)
        path = f"auto-allocated-topology/{segment(project_id)}"
        try:
            self._http.get(path, "auto_allocated_topology", {"fields": "dry-run"})
        except (errors.NotFound, errors.Conflict, errors.Invalid) as error:
            raise _no_auto_allocation(project_id) from error

    def by_id(self, ids: Iterable[str]) -> dict[str, Json]:
        """Networks that do not exist, or no longer, are missing."""
        return self._networks.get_many(list(ids), lambda missing: self._load("networks", missing))

    def subnets_by_id(self, ids: Iterable[str]) -> dict[str, Json]:
        """Subnets that do not exist, or no longer, are missing."""
        return self._subnets.get_many(list(ids), lambda missing: self._load("subnets", missing))

    def names(self, ids: Iterable[str]) -> dict[str, str]:
        """The names of some networks, by id."""
        return {network_id: network["name"] for network_id, network in self.by_id(ids).items()}

    def _own_and_shared(self, project_id: str, ids: Sequence[str] | None = None) -> list[Json]:
        of_these = {} if ids is None else {"id": ids}
        if not self._http.has(RBAC):
            own = self._http.find("networks", {"project_id": project_id, "shared": "False", **of_these})
            return own + self._http.find("networks", {"shared": "True", **of_these})
        own = self._http.find("networks", {"project_id": project_id, **of_these})
        known = {network["id"] for network in own}
        others = [each for each in everybodys_ids(self._http, "network", ids=ids) if each not in known]
        return own + (self._http.find("networks", {"id": others}) if others else [])

    def _load(self, plural: str, ids: Sequence[str]) -> dict[str, Json]:
        return {record["id"]: record for record in self._http.find(plural, {"id": ids})}


def _no_auto_allocation(project_id: str) -> errors.Invalid:
    return errors.Invalid(f"Unable to automatically allocate a network for project {project_id}")
