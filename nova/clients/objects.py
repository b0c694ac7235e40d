"""Reads of nova-objectstore, in the name of a project, with this cloud's own credentials.

A bucket is looked for among the project's own: another project's does not exist here.
"""

import contextlib
import logging
import re
from collections.abc import Iterator

import requests
import urllib3
from keystoneauth1.adapter import Adapter
from oslo_config import cfg

from nova import errors
from nova.clients.adapters import service_adapter
from nova.clients.http import Service, segment
from nova.structs.context import Context

LOG = logging.getLogger(__name__)

# Whose buckets are read; nova-objectstore heeds it beside a token of a service alone.
PROJECT_HEADER = "X-Nova-Project-Id"
_CHUNK = 1 << 20
_CODE = re.compile(rb"<Code>(\w{1,40})</Code>")


class BucketNotFound(errors.NotFound):
    text = "The specified bucket does not exist."


class KeyNotFound(errors.NotFound):
    text = "The specified key does not exist."


class Objects:
    """The store at [DEFAULT] s3_host and s3_port."""

    def __init__(self, conf: cfg.ConfigOpts, transport: requests.Session | None = None) -> None:
        base = service_adapter(conf, "keystone", transport)
        url = f"{'https' if conf.s3_use_ssl else 'http'}://{conf.s3_host}:{conf.s3_port}"
        adapter = Adapter(session=base.session, auth=base.auth, endpoint_override=url, user_agent="nova")
        self._service = Service("The object store", adapter)

    def size(self, project_id: str, bucket: str, key: str) -> int:
        """Bytes of an object. Raises BucketNotFound, KeyNotFound, Unavailable."""
        with contextlib.closing(self._open(project_id, bucket, key)) as response:
            return _length(response)

    def read(self, project_id: str, bucket: str, key: str, most: int) -> Iterator[bytes]:
        """An object's bytes, of which there are most at most.

        Raises BucketNotFound, KeyNotFound, TooLarge before the first; Unavailable when the stream breaks off.
        """
        with contextlib.closing(self._open(project_id, bucket, key)) as response:
            length = _length(response)
            if length > most:
                raise errors.TooLarge(f"The object has more than {most} bytes.")
            count = 0
            try:
                # As it is stored: what an object says of its encoding is its owner's word.
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    count += len(chunk)
                    if count > length:
                        raise self._broken()
                    yield chunk
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                LOG.warning("an object broke off: %s", error)
                raise self._broken() from error
            if count != length:
                raise self._broken()

    def _open(self, project_id: str, bucket: str, key: str) -> requests.Response:
        path = "/".join(("", segment(bucket), *map(segment, key.split("/"))))
        headers = {PROJECT_HEADER: project_id, "Accept-Encoding": "identity"}
        response = self._service.request("GET", path, Context(), headers=headers, stream=True)
        if response.status_code == 200:
            return response
        with contextlib.closing(response):
            code = _CODE.search(response.content[:4096])
        if code is not None and code[1] == b"NoSuchBucket":
            raise BucketNotFound()
        if code is not None and code[1] == b"NoSuchKey":
            raise KeyNotFound()
        raise self._service.failed(response)

    def _broken(self) -> errors.Unavailable:
        return self._service.unavailable("it broke off while it sent an object")


def _length(response: requests.Response) -> int:
    """nova-objectstore says how long each object is."""
    return int(response.headers["Content-Length"])
