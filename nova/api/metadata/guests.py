"""Which guest a request is from: a metadata proxy says so, or its address shows it.

A proxy (Neutron's) signs what it says; its word counts only when [neutron] service_metadata_proxy
is set, and then nothing else does.
"""

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from oslo_config import cfg
from oslo_middleware import http_proxy_to_wsgi

from nova import errors
from nova.clients.ttl_cache import TtlCache
from nova.conf import BadConfiguration
from nova.metadata import documents
from nova.metadata.documents import Documents
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context

LOG = logging.getLogger(__name__)


class UnknownGuest(errors.NotFound):
    text = "No server is known by this request."


class Addresses(Protocol):
    """The query of the Networking API."""

    def device_at(self, address: str) -> tuple[str, str] | None:
        """(server, project) of the one server with this address."""


class Guests:
    """Finds the documents of the guest that asks, and remembers them for [api] metadata_cache_expiration.

    Raises BadConfiguration for a metadata proxy without a secret.
    """

    def __init__(self, conf: cfg.ConfigOpts, conductor: ConductorCalls, addresses: Addresses) -> None:
        self._conf = conf
        self._conductor = conductor
        self._addresses = addresses
        self._is_behind_proxy = conf.neutron.service_metadata_proxy
        self._secret = conf.neutron.metadata_proxy_shared_secret
        # The library's option, and not its middleware: that believes the first address of Forwarded, a guest's own word.
        conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
        self._is_forwarded = conf.oslo_middleware.enable_proxy_headers_parsing
        self._documents: TtlCache[Documents] = TtlCache(conf.api.metadata_cache_expiration)
        if self._is_behind_proxy and not self._secret:
            raise BadConfiguration(
                "[neutron] service_metadata_proxy needs metadata_proxy_shared_secret: without it any guest can sign for "
                "any other"
            )

    def documents_for(self, environ: Mapping[str, Any]) -> Documents:
        """Raises UnknownGuest, Invalid and Forbidden for what a proxy sent, Unavailable."""
        if self._is_behind_proxy:
            server_id, project_id = self._from_proxy(environ)
        else:
            # Not remembered: a guest that runs may get an address the moment another one gives it up.
            server_id, project_id = self._at(self._address(environ))
        return self._documents.get((server_id, project_id), lambda: self._build(server_id, project_id))

    def keep_password(self, documents: Documents, encrypted: str) -> None:
        """Raises Conflict when there is one already, Invalid when it is too long."""
        self._conductor.keep_password(documents.instance.uuid, encrypted)
        self._documents.forget()

    def _build(self, server_id: str, project_id: str) -> Documents:
        try:
            instance = self._conductor.server(Context(is_admin=True), server_id, with_user_data=True)
        except errors.ServerNotFound:
            raise UnknownGuest() from None
        if instance.is_deleted or instance.project_id != project_id:
            raise UnknownGuest()
        return documents.build(instance, self._conf)

    def _at(self, address: str) -> tuple[str, str]:
        device = self._addresses.device_at(address)
        if device is None:
            raise UnknownGuest()
        return device

    def _address(self, environ: Mapping[str, Any]) -> str:
        """The caller's address, in the form the Networking API writes it."""
        text = environ.get("REMOTE_ADDR", "")
        if self._is_forwarded:
            # The last of the addresses is the one that the reverse proxy saw itself.
            text = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip() or text
        return _as_written(text)

    def _from_proxy(self, environ: Mapping[str, Any]) -> tuple[str, str]:
        server_id = _one_value(environ, "X-Instance-ID")
        project_id = _one_value(environ, "X-Tenant-ID")
        signature = environ.get("HTTP_X_INSTANCE_ID_SIGNATURE", "")
        if not hmac.compare_digest(sign(self._secret, server_id).encode(), signature.encode()):
            LOG.warning("wrong signature for server %r from %s", server_id, environ.get("REMOTE_ADDR"))
            raise errors.Forbidden("Invalid proxy request signature.")
        return server_id, project_id


def sign(secret: str, server_id: str) -> str:
    """What a proxy sends as X-Instance-ID-Signature."""
    return hmac.new(secret.encode(), server_id.encode(), hashlib.sha256).hexdigest()


def _one_value(environ: Mapping[str, Any], header: str) -> str:
    value: str = environ.get("HTTP_" + header.upper().replace("-", "_"), "").strip()
    if not value:
        raise errors.Invalid(f"{header} header is missing from request.")
    if "," in value:
        raise errors.Invalid(f"Multiple {header} headers found within request.")
    return value


def _as_written(text: str) -> str:
    """An address in the form the Networking API writes it. Raises UnknownGuest for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise UnknownGuest() from None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
