"""Requests to the Networking API: one method per verb, errors in our own words, and a short memory."""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import requests
from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service

T = TypeVar("T")

# A URL longer than this may be cut off on its way.
_IDS_PER_REQUEST = 100


class NetworkingRefused(errors.Conflict):
    """An answer the caller has no better word for."""

    text = "{reason}"


class NetworkingHttp:
    """The Networking API's collections, through an adapter that logs in as the service."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("The Networking service", adapter)
        self._prefix: str | None = None

    def find(self, plural: str, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """query's values may be sequences: any of them will do. Long ones are split over requests."""
        pairs = {name: _values(value) for name, value in (query or {}).items()}
        long = next((name for name, values in pairs.items() if len(values) > _IDS_PER_REQUEST), None)
        if long is None:
            return self.get(plural.replace("_", "-"), plural, pairs)
        found = []
        for start in range(0, len(pairs[long]), _IDS_PER_REQUEST):
            found += self.find(plural, pairs | {long: pairs[long][start : start + _IDS_PER_REQUEST]})
        return found

    def get(self, path: str, key: str, query: Mapping[str, Any] | None = None) -> Any:
        """What the answer holds under key."""
        return self._service.part(self._send("GET", path, params=query), key)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What was made; the answer has it under the key it was asked for with."""
        return self._service.part(self._send("POST", path, json=body), next(iter(body)))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """What it is now; the answer has it under the key it was asked for with."""
        return self._service.part(self._send("PUT", path, json=body), next(iter(body)))

    def delete(self, path: str) -> None:
        """Delete; what is not there is done."""
        with contextlib.suppress(errors.NotFound):
            self._send("DELETE", path)

    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = self._service.ask(method, f"{self._root()}/{path}", **options)
        if answer.status_code >= 400:
            raise _error_of(answer)
        return answer

    def _root(self) -> str:
        """What comes between the endpoint and the collections: some catalogs name the version, some do not."""
        if self._prefix is None:
            try:
                endpoint = self._service.adapter.get_endpoint() or ""
            except exceptions.ClientException as error:
                raise self._service.silent(error) from error
            self._prefix = "" if endpoint.rstrip("/").endswith("/v2.0") else "/v2.0"
        return self._prefix


class TtlCache:
    """Remembers answers for ttl_s. Two callers may load one answer at once: no lock is held while loading."""

    def __init__(self, ttl_s: float, size: int = 10000) -> None:
        self._ttl_s = ttl_s
        self._size = size
        self._lock = threading.Lock()
        self._held: dict[Hashable, tuple[float, Any]] = {}

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        held = self._held.get(key)
        if held and held[0] > time.monotonic():
            return held[1]
        value = load()
        self.put(key, value)
        return value

    def get_many(self, keys: Sequence[str], load: Callable[[list[str]], Mapping[str, T]]) -> dict[str, T]:
        """Answers by key; what is missing is loaded in one call."""
        now = time.monotonic()
        held = {key: self._held[key] for key in keys if key in self._held}
        answers = {key: value for key, (expires, value) in held.items() if expires > now}
        missing = [key for key in dict.fromkeys(keys) if key not in answers]
        if missing:
            for key, value in load(missing).items():
                self.put(key, value)
                answers[key] = value
        return answers

    def held(self) -> list[Any]:
        """Every answer that still counts."""
        now = time.monotonic()
        return [value for expires, value in list(self._held.values()) if expires > now]

    def put(self, key: Hashable, value: Any) -> None:
        with self._lock:
            if len(self._held) >= self._size:
                self._held.clear()
            self._held[key] = (time.monotonic() + self._ttl_s, value)

    def forget(self) -> None:
        with self._lock:
            self._held.clear()


def _values(value: Any) -> Sequence[Any]:
    return [value] if isinstance(value, str | bool | int) else list(value)


def _error_of(answer: Any) -> errors.DomainError:
    """The API's refusal as a domain error: by its type where we have a word for it, else by status."""
    kind, message = "", answer.text[:500]
    try:
        body = answer.json()["NeutronError"]
    except (ValueError, KeyError, TypeError):
        body = None
    if isinstance(body, dict):
        kind, message = body.get("type", ""), body.get("message", message)
    match answer.status_code, kind:
        case 409, "OverQuota":
            return errors.QuotaExceeded(message)
        case 409, "IpAddressGenerationFailure" | "IpAddressInUse" | "MacAddressInUse":
            return errors.by_name(kind)(message)
        case 409, "IpAddressAlreadyAllocated":
            return errors.IpAddressInUse(message)
        case 400, _:
            return errors.Invalid(message)
        case 403, _:
            return errors.Forbidden(message)
        case 404, _:
            return errors.NotFound(message)
        case _:
            return NetworkingRefused(message)
