"""Requests to the Networking API: one method for each HTTP method, refusals as domain errors."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Refusals, Service
from nova.clients.ttl_cache import TtlCache
from nova.structs.context import Context

Json = dict[str, Any]

# Servers and proxies limit the length of a URL.
_IDS_PER_REQUEST = 100
_EXTENSIONS_TTL_S = 600


class NetworkingRefused(errors.Conflict):
    """A refusal that has no error of its own here."""


_REFUSALS: Refusals = {
    "OverQuota": errors.QuotaExceeded,
    "IpAddressAlreadyAllocated": errors.IpAddressInUse,
    "IpAddressGenerationFailure": errors.IpAddressGenerationFailure,
    "IpAddressInUse": errors.IpAddressInUse,
    "MacAddressInUse": errors.MacAddressInUse,
    400: errors.Invalid,
    403: errors.Forbidden,
    404: errors.NotFound,
    None: NetworkingRefused,
}


class NetworkingHttp:
    """The Networking API's collections, through an adapter that logs in as the service.

    With a context, a request carries the token of who asks: the Networking API itself decides what that user may see
    and use.
    """

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Networking service", adapter, _REFUSALS)
        self._prefix: str | None = None
        self._extensions: TtlCache[frozenset[str]] = TtlCache(_EXTENSIONS_TTL_S)

    def has(self, extension: str) -> bool:
        """Whether there is an extension, by its alias. Cached, for extensions seldom change."""

        def load() -> frozenset[str]:
            return frozenset(each["alias"] for each in self.find("extensions"))

        return extension in self._extensions.get("all", load)

    def find(self, plural: str, query: Mapping[str, Any] | None = None, context: Context | None = None) -> list[Json]:
        """The records that match. A sequence in query means any of its values; long ones are split over requests."""
        pairs = {name: _values(value) for name, value in (query or {}).items()}
        long = next((name for name, values in pairs.items() if len(values) > _IDS_PER_REQUEST), None)
        if long is None:
            return list(self.get(plural.replace("_", "-"), plural, pairs, context))
        records: list[Json] = []
        for start in range(0, len(pairs[long]), _IDS_PER_REQUEST):
            records += self.find(plural, pairs | {long: pairs[long][start : start + _IDS_PER_REQUEST]}, context)
        return records

    def ports_of_server(self, project_id: str | None, instance_uuid: str) -> list[Json]:
        """A server's ports; None: of any project.

        Anybody may name a server as the device of a port, and in a Neutron as its owner, too.
        """
        query = {"device_id": instance_uuid, **({} if project_id is None else {"project_id": project_id})}
        return [port for port in self.find("ports", query) if port["device_owner"].startswith("compute:")]

    def get(self, path: str, key: str, query: Mapping[str, Any] | None = None, context: Context | None = None) -> Any:
        """What the answer holds under key."""
        return self._service.ask("GET", self._path(path), key=key, params=query, context=context)

    def post(self, path: str, body: Mapping[str, Any], context: Context | None = None) -> Json:
        """What was created; the answer has it under the key of the request."""
        return dict(self._service.ask("POST", self._path(path), key=next(iter(body)), json=body, context=context))

    def post_many(self, plural: str, bodies: Sequence[Json]) -> list[Json]:
        """What was created, all or none."""
        return list(self._service.ask("POST", self._path(plural), key=plural, json={plural: bodies}))

    def put(self, path: str, body: Mapping[str, Any]) -> Json:
        """What the update left; the answer has it under the key of the request."""
        return dict(self._service.ask("PUT", self._path(path), key=next(iter(body)), json=body))

    def activate(self, path: str) -> None:
        """Activate a port's binding. Raises NotFound; NetworkingRefused for one that is active."""
        self._service.answer("PUT", self._path(f"{path}/activate"))

    def delete(self, path: str) -> None:
        """Delete, if it exists."""
        with contextlib.suppress(errors.NotFound):
            self._service.answer("DELETE", self._path(path))

    def _path(self, path: str) -> str:
        """Some catalogs name the version in the endpoint, some do not."""
        if self._prefix is None:
            try:
                endpoint = self._service.adapter.get_endpoint() or ""
            except exceptions.ClientException as error:
                raise self._service.unreachable(error) from error
            self._prefix = "" if endpoint.rstrip("/").endswith("/v2.0") else "/v2.0"
        return f"{self._prefix}/{path}"


def _values(value: Any) -> Sequence[Any]:
    return [value] if isinstance(value, str | bool | int) else list(value)
