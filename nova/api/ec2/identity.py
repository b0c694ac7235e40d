"""Who asks: the user whose signature a request carries, as the Identity service knows it."""

import datetime
from typing import Any

from keystoneauth1.adapter import Adapter

from nova.api.ec2 import errors
from nova.api.ec2.signature import Signed
from nova.clients.identity import SignatureInvalid, SignedRequests
from nova.clock import parse_utc, utcnow
from nova.http.wsgi import Environ, request_id
from nova.structs.context import Context

# Signatures that are remembered. A client that makes no two requests alike uses each once.
_REMEMBERED = 10000

Token = tuple[str, dict[str, Any]]


class Identity:
    """A signature that was found good counts until its own end, or the end of its token."""

    def __init__(self, adapter: Adapter, url: str | None) -> None:
        self._requests = SignedRequests(adapter, "/ec2tokens", url)
        self._tokens: dict[str, tuple[datetime.datetime, Token]] = {}

    def context(self, environ: Environ, signed: Signed) -> Context:
        """The caller. Raises BadSignature, Unavailable."""
        token_id, token = self._token(signed)
        roles = tuple(str(role["name"]).lower() for role in token.get("roles", ()))
        return Context(
            user_id=token["user"]["id"],
            project_id=token["project"]["id"],
            roles=roles,
            is_admin="admin" in roles,
            user_domain_id=(token["user"].get("domain") or {}).get("id"),
            project_domain_id=(token["project"].get("domain") or {}).get("id"),
            auth_token=token_id,
            token_expires_at=parse_utc(token["expires_at"]),
            request_id=request_id(environ),
            remote_address=environ.get("REMOTE_ADDR"),
        )

    def _token(self, signed: Signed) -> Token:
        key, now = signed.key, utcnow()
        known = self._tokens.get(key)
        if known is not None and now < known[0]:
            return known[1]
        try:
            token = self._requests.token(signed.credentials)
        except SignatureInvalid as error:
            raise errors.BadSignature() from error
        if len(self._tokens) >= _REMEMBERED:
            self._tokens = {key: entry for key, entry in list(self._tokens.items()) if entry[0] > now}
        if len(self._tokens) >= _REMEMBERED:
            self._tokens = {}
        self._tokens[key] = (min(signed.expires_at, parse_utc(token[1]["expires_at"])), token)
        return token
