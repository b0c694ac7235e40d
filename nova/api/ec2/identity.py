"""Who asks: the user whose signature a request carries, as the Identity service knows it."""

import datetime

import msgspec
from keystoneauth1.adapter import Adapter

from nova.api.ec2 import errors
from nova.api.ec2.signature import Signed
from nova.clients.signed_requests import SignatureInvalid, SignedRequests
from nova.clock import utcnow
from nova.http.wsgi import Environ, request_id
from nova.structs.context import Context

# Signatures that are remembered. A client that makes no two requests alike uses each once.
_REMEMBERED = 10000


class Identity:
    """A signature that was found good counts until its own end, or the end of its token."""

    def __init__(self, adapter: Adapter, url: str | None) -> None:
        self._requests = SignedRequests(adapter, "/ec2tokens", url)
        self._signers: dict[str, tuple[datetime.datetime, Context]] = {}

    def context(self, environ: Environ, signed: Signed) -> Context:
        """The caller. Raises BadSignature, Unavailable."""
        own = {"request_id": request_id(environ), "remote_address": environ.get("REMOTE_ADDR")}
        key, now = signed.key, utcnow()
        known = self._signers.get(key)
        if known is not None and now < known[0]:
            return msgspec.structs.replace(known[1], **own)
        try:
            signer = self._requests.signer(signed.credentials, request_id(environ))
        except SignatureInvalid as error:
            raise errors.BadSignature() from error
        self._remember(key, signed.expires_at, signer)
        return msgspec.structs.replace(signer, **own)

    def _remember(self, key: str, until: datetime.datetime, signer: Context) -> None:
        now = utcnow()
        if len(self._signers) >= _REMEMBERED:
            self._signers = {key: entry for key, entry in list(self._signers.items()) if entry[0] > now}
        if len(self._signers) >= _REMEMBERED:
            self._signers = {}
        self._signers[key] = (min(until, signer.token_expires_at or now), signer)
