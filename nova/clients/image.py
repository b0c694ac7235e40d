"""A thin client of the Image API v2.

A call made for a user carries that user's token, so that the Image service itself decides what the
user may see; what it hides is ImageNotFound here. Without a context the service's own credentials count.
"""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import requests
from keystoneauth1 import exceptions as ksa
from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import Refusals, Service, segment
from nova.clients.ttl_cache import TtlCache
from nova.structs.context import Context
from nova.structs.image import Image

LOG = logging.getLogger(__name__)

_UPLOAD_CHUNK = 1 << 20
# The service answers an upload after it has stored and checked the image.
_STORING_S = 600
# The most that is lost when a download breaks off.
_DOWNLOAD_CHUNK = 1 << 16
_PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
# The attributes of the API's own; every other key of its document is a property. Source: Image API v2 reference.
OWN_KEYS = frozenset(
    (
        *("checksum", "container_format", "created_at", "direct_url", "disk_format", "file", "id", "locations"),
        *("min_disk", "min_ram", "name", "os_hash_algo", "os_hash_value", "os_hidden", "owner", "protected", "schema"),
        *("self", "size", "status", "stores", "tags", "updated_at", "virtual_size", "visibility"),
    )
)


class Readable(Protocol):
    """What an upload needs of a file."""

    def read(self, size: int, /) -> bytes: ...


class _NothingLeft(errors.Invalid):
    """A download from where the data end."""


_REFUSALS: Refusals = {
    # What a user may not see does not exist for that user.
    ("GET", 403): errors.NotFound,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    416: _NothingLeft,
    None: errors.Invalid,
}


class Images:
    """Reads and writes images through a keystoneauth1 adapter.

    An image is remembered for cache_s: its data never change once it is active, its properties and
    visibility seldom do.
    """

    def __init__(self, adapter: Adapter, cache_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = Service("The Image service", adapter, _REFUSALS)
        self._cache: TtlCache[Image] = TtlCache(cache_s, clock=clock)

    def get(self, image_id: str, context: Context | None = None) -> Image:
        """One image, as this user sees it. Raises errors.ImageNotFound, errors.Unavailable."""
        key = (image_id, _asker(context))
        image = self._cache.peek(key)
        if image is None:
            image = self._image(self._answer("GET", _path(image_id), context, image_id))
            if image.status == "active":
                self._cache.put(key, image)
        return image

    def documents(self, context: Context | None = None, **query: str | int) -> list[dict[str, Any]]:
        """One page of what list() gives, as the Image API shows it."""
        return [*self._service.ask("GET", "/v2/images", key="images", context=context, params=query)]

    def list(self, context: Context | None = None, **query: str | int) -> Iterator[Image]:
        """The images this user sees, in the Image API's order; query is the Image API's. With a limit, one page."""
        path = "/v2/images"
        while path:
            answer = self._service.answer("GET", path, context=context, params=query)
            yield from (read_image(document) for document in self._service.part(answer, "images"))
            path, query = ("" if "limit" in query else self._service.document(answer).get("next") or ""), {}

    def base_url(self) -> str:
        """Where the Image service is; empty when that is not known."""
        try:
            return self._service.adapter.get_endpoint() or ""
        except ksa.ClientException:
            return ""

    def document(self, image_id: str, context: Context | None = None) -> dict[str, Any]:
        """One image as the Image API shows it. Raises ImageNotFound, Unavailable."""
        return self._document(self._answer("GET", _path(image_id), context, image_id))

    def create(self, image: Image, context: Context | None = None) -> Image:
        """Create an image whose data are uploaded later. image.id is the id it gets; an existing one is kept."""
        document = {
            "name": image.name,
            "visibility": image.visibility,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            **image.properties,
        }
        if image.id:
            document["id"] = image.id
        if image.owner:
            document["owner"] = image.owner
        try:
            return self._image(self._service.answer("POST", "/v2/images", context=context, json=document))
        except errors.Conflict:
            return self.get(image.id, context)

    def upload(self, image_id: str, file: Readable, context: Context | None = None) -> Image:
        """Give the image its data, after which it is active; an active image is left alone."""
        if self._fetch(image_id, context).status != "active":
            self._answer(
                "PUT",
                _path(image_id, "/file"),
                context,
                image_id,
                at_least_s=_STORING_S,
                data=_chunks(file),
                headers={"Content-Type": "application/octet-stream"},
            )
        return self._fetch(image_id, context)

    def delete(self, image_id: str, context: Context | None = None) -> None:
        """Delete the image, if it exists."""
        self._forget(image_id)
        with contextlib.suppress(errors.ImageNotFound):
            self._answer("DELETE", _path(image_id), context, image_id)

    def set_properties(self, image_id: str, properties: dict[str, str | None], context: Context | None = None) -> Image:
        """Set each property, or remove it where the value is None."""
        has = self._fetch(image_id, context).properties
        patch: list[dict[str, Any]] = [
            {"op": "replace" if name in has else "add", "path": _pointer(name), "value": value}
            for name, value in properties.items()
            if value is not None
        ]
        patch += [
            {"op": "remove", "path": _pointer(name)}
            for name, value in properties.items()
            if value is None and name in has
        ]
        if patch:
            headers = {"Content-Type": _PATCH_TYPE}
            self._answer("PATCH", _path(image_id), context, image_id, data=json.dumps(patch), headers=headers)
        return self._fetch(image_id, context)

    def set_visibility(self, image_id: str, visibility: str, context: Context | None = None) -> None:
        """Raises Forbidden where the Image service lets this user not do it."""
        patch = [{"op": "replace", "path": "/visibility", "value": visibility}]
        headers = {"Content-Type": _PATCH_TYPE}
        self._answer("PATCH", _path(image_id), context, image_id, data=json.dumps(patch), headers=headers)
        self._forget(image_id)

    def download(self, image_id: str, start: int = 0, context: Context | None = None) -> Iterator[bytes]:
        """The image's data from byte start on. Raises errors.Unavailable when the stream breaks off."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            response = self._answer("GET", _path(image_id, "/file"), context, image_id, headers=headers, stream=True)
        except _NothingLeft:
            return
        # A server may ignore the range and send everything.
        skip = start if response.status_code == 200 else 0
        with contextlib.closing(response):
            try:
                for chunk in response.iter_content(_DOWNLOAD_CHUNK):
                    if len(chunk) > skip:
                        yield chunk[skip:]
                    skip = max(0, skip - len(chunk))
            except (requests.RequestException, OSError) as error:
                LOG.warning("the data of image %s broke off: %s", image_id, error)
                raise self._service.unavailable("it broke off while it sent an image") from error

    def _image(self, response: requests.Response) -> Image:
        return read_image(self._document(response))

    def _document(self, response: requests.Response) -> dict[str, Any]:
        document = self._service.document(response)
        if "id" not in document:
            raise self._service.not_understood(response)
        return document

    def _fetch(self, image_id: str, context: Context | None) -> Image:
        self._forget(image_id)
        return self.get(image_id, context)

    def _forget(self, image_id: str) -> None:
        self._cache.forget(lambda key: isinstance(key, tuple) and key[0] == image_id)

    def _answer(
        self, method: str, path: str, context: Context | None, image_id: str, **options: Any
    ) -> requests.Response:
        missing = errors.ImageNotFound(image_id=image_id)
        return self._service.answer(method, path, missing, context=context, **options)


def read_image(document: dict[str, Any]) -> Image:
    """An image from its document in the Image API v2."""
    return Image(
        id=document["id"],
        name=document.get("name") or "",
        status=document.get("status") or "",
        owner=document.get("owner"),
        visibility=document.get("visibility") or "private",
        disk_format=document.get("disk_format") or "",
        container_format=document.get("container_format") or "",
        size=document.get("size") or 0,
        checksum=document.get("checksum"),
        hash_algorithm=document.get("os_hash_algo"),
        hash_value=document.get("os_hash_value"),
        min_disk=document.get("min_disk") or 0,
        min_ram=document.get("min_ram") or 0,
        created_at=document.get("created_at"),
        properties={k: str(v) for k, v in document.items() if k not in OWN_KEYS and v is not None},
    )


def _path(image_id: str, rest: str = "") -> str:
    return f"/v2/images/{segment(image_id)}{rest}"


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _asker(context: Context | None) -> str:
    token = context.auth_token if context is not None else None
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


def _chunks(file: Readable) -> Iterator[bytes]:
    while chunk := file.read(_UPLOAD_CHUNK):
        yield chunk
