"""The API described in its own words: /openapi.json, of the version that is asked for. Ours, not upstream's."""

from functools import lru_cache
from typing import Any

from nova.api.compute import openapi_document
from nova.api.compute.request import Request
from nova.http.declaration import Endpoint, get
from nova.http.view import made


@get("/openapi.json", policy="os_compute_api:extensions", answer=made(), is_ours=True)
def show(request: Request) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this version."""
    return _document(request.services.operations, request.version, request.base_url)


@lru_cache(maxsize=4)
def _document(operations: tuple[Endpoint, ...], version: int, base_url: str) -> dict[str, Any]:
    return openapi_document.document(operations, version, base_url)
