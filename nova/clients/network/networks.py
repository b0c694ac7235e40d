"""Networks, subnets and extensions of the Networking API, cached: they change seldom and are asked for with every server."""

from collections.abc import Iterable, Sequence
from typing import Any

from nova import errors
from nova.clients.network.http import NetworkingHttp
from nova.clients.ttl_cache import TtlCache
from nova.structs.network import NetworkRequest

Json = dict[str, Any]

# Short, because a project may create a network and boot a server on it at once.
_USABLE_TTL_S = 3
_FACTS_TTL_S = 30
_EXTENSIONS_TTL_S = 600


class Networks:
    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http
        self._usable: TtlCache[list[Json]] = TtlCache(_USABLE_TTL_S)
        self._networks: TtlCache[Json] = TtlCache(_FACTS_TTL_S)
        self._subnets: TtlCache[Json] = TtlCache(_FACTS_TTL_S)
        self._extensions: TtlCache[frozenset[str]] = TtlCache(_EXTENSIONS_TTL_S)

    def usable(self, project_id: str) -> list[Json]:
        """The networks a project's servers may be on: its own, and shared ones."""

        def load() -> list[Json]:
            own = self._http.find("networks", {"project_id": project_id, "shared": "False"})
            shared = self._http.find("networks", {"shared": "True"})
            return [network for network in own + shared if network.get("admin_state_up", True)]

        return self._usable.get(project_id, load)

    def forget_usable(self) -> None:
        self._usable.forget()

    def default_request(self, project_id: str) -> Sequence[NetworkRequest]:
        """The networks of a server that names none: the project's one network. Raises MultipleNetworks."""
        networks = [network for network in self.usable(project_id) if network.get("subnets")]
        if len(networks) > 1:
            raise errors.MultipleNetworks()
        return [NetworkRequest(network_id=network["id"]) for network in networks]

    def by_id(self, ids: Iterable[str]) -> dict[str, Json]:
        return self._networks.get_many(list(ids), lambda missing: self._load("networks", missing))

    def subnets_by_id(self, ids: Iterable[str]) -> dict[str, Json]:
        return self._subnets.get_many(list(ids), lambda missing: self._load("subnets", missing))

    def names(self, ids: Iterable[str]) -> dict[str, str]:
        """The names of some networks, by id."""
        return {network_id: network["name"] for network_id, network in self.by_id(ids).items()}

    def has(self, extension: str) -> bool:
        def load() -> frozenset[str]:
            return frozenset(each["alias"] for each in self._http.find("extensions"))

        return extension in self._extensions.get("all", load)

    def _load(self, plural: str, ids: Sequence[str]) -> dict[str, Json]:
        return {record["id"]: record for record in self._http.find(plural, {"id": ids})}
