"""The API described in its own words: /openapi.json, of the version that is asked for. Ours, not upstream's.

Everybody may read it, so that reading it costs little: a document is made once, and kept small.
"""

import threading
import zlib
from functools import cache
from typing import Any

import orjson

from nova.api.compute import openapi_document
from nova.api.compute.request import Request
from nova.http.declaration import LATER, Endpoint, get
from nova.http.schema import obj
from nova.http.view import made

# One at a time makes a document, and the others find it made.
_MAKING = threading.Lock()


@get("/openapi.json", target=LATER, answer=made(obj(is_open=True)), is_ours=True, is_open=True)
def show(request: Request) -> dict[str, Any]:
    """The OpenAPI 3.1 document of this version."""
    with _MAKING:
        parts = _parts(request.services.operations, request.version)
    told: dict[str, Any] = {name: orjson.Fragment(zlib.decompress(part)) for name, part in parts.items()}
    # Clients reach this API by different addresses.
    told["servers"] = openapi_document.servers(request.base_url)
    return told


@cache
def _parts(operations: tuple[Endpoint, ...], version: int) -> dict[str, bytes]:
    """The document's members, as compressed JSON."""
    document = openapi_document.document(operations, version, "")
    return {name: zlib.compress(orjson.dumps(value)) for name, value in document.items()}
