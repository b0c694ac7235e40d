"""Requests to the Placement API, and what their answers mean."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import requests
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Service
from nova.clients.placement.answers import read_problem

T = TypeVar("T")

MICROVERSION = "1.39"

# A write that loses a generation this often in a row has met something else than a race.
_ATTEMPTS = 12
_HEADERS = {"Accept": "application/json", "OpenStack-API-Version": f"placement {MICROVERSION}"}
_CONCURRENT_UPDATE = "placement.concurrent_update"

_encode = msgspec.json.Encoder().encode


class PlacementHttp:
    """What the parts of the client share."""

    def __init__(self, adapter: Adapter) -> None:
        self._service = Service("Placement", adapter, headers=_HEADERS)

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> requests.Response:
        """An answer with an expected status. Raises Unavailable for any other, but Invalid for an expected 400."""
        options: dict[str, Any] = {"params": params} if params else {}
        if body is not None:
            options |= {"data": _encode(body), "headers": {"Content-Type": "application/json"}}
        response = self._service.request(method, path, **options)
        if response.status_code not in expected:
            raise self._service.failed(response)
        if response.status_code == 400:
            raise errors.Invalid(read_problem(response.content).detail)
        return response

    def _read(self, response: requests.Response, read: Callable[[bytes], T]) -> T:
        try:
            return read(response.content)
        except msgspec.MsgspecError as error:
            raise self._service.not_understood(response) from error

    def _decode(self, response: requests.Response, shape: type[T]) -> T:
        return self._read(response, lambda content: msgspec.json.decode(content, type=shape))


def attempts() -> Iterator[int]:
    """Numbers of attempts to win a race, with pauses that bring those who collided back at different times."""
    for attempt in range(_ATTEMPTS):
        yield attempt
        time.sleep(random.uniform(0, 0.005 * (attempt + 1)))


def lost_race(response: requests.Response) -> bool:
    """Whether a refused write may be repeated: another one changed the generation first."""
    return response.status_code == 409 and read_problem(response.content).code == _CONCURRENT_UPDATE


def refusal(response: requests.Response) -> str:
    """Placement's reason, in words."""
    return read_problem(response.content).detail
