"""Key pairs: /os-keypairs. Source: Compute API reference, "Keypairs"."""

from typing import Any

from nova.api.compute import keys
from nova.api.compute.request import Request
from nova.api.compute.versions import KEYPAIRS_PAGED
from nova.http.declaration import USER, delete, get, post
from nova.http.schema import (
    BOOLEAN,
    INTEGER,
    NULL,
    STRING,
    TIME,
    Plain,
    body,
    enum,
    integer,
    optional,
    query,
    required,
    versioned,
)
from nova.http.view import ABSENT, Page, View, listing, shows, single, view
from nova.structs.keypair import Keypair

_NAME = {"type": "string", "format": "name", "minLength": 1, "maxLength": 255}
_OLD_NAME = Plain({**_NAME, "pattern": r"^[_\- a-zA-Z0-9]+$"})
_NEW_NAME = Plain({**_NAME, "pattern": r"^[_\-\@\. a-zA-Z0-9]+$"})
_KEY_NAME = versioned(_OLD_NAME, v2_92=_NEW_NAME)
_TYPE = enum("ssh", "x509")

CREATE = body(
    "keypair",
    required("name", _KEY_NAME),
    optional("public_key", STRING, until="2.91"),
    required("public_key", STRING, since="2.92"),
    optional("type", _TYPE, since="2.2", default="ssh"),
    optional("user_id", STRING, since="2.10"),
)
_OF_USER = query(optional("user_id", STRING, since="2.10"), strict_since="2.75")
LIST = query(
    optional("user_id", STRING, since="2.10"),
    optional("limit", integer(0), since="2.35"),
    optional("marker", STRING, since="2.35"),
    strict_since="2.75",
)


def _private_key(pair: Keypair, request: Request) -> Any:
    return ABSENT if pair.private_key is None else pair.private_key


_LISTED = view(
    shows("name", STRING), shows("public_key", STRING), shows("fingerprint", STRING), shows("type", _TYPE, since="2.2")
)
_CREATED = view(
    shows("name", STRING),
    shows("public_key", STRING),
    shows("fingerprint", STRING),
    shows("user_id", STRING),
    shows("type", _TYPE, since="2.2"),
    shows("private_key", STRING, _private_key, until="2.91", is_optional=True),
)
_SHOWN = view(
    shows("id", INTEGER),
    shows("name", STRING),
    shows("public_key", STRING),
    shows("fingerprint", STRING),
    shows("user_id", STRING),
    shows("type", _TYPE, since="2.2"),
    shows("created_at", TIME, lambda pair, request: pair.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f")),
    # A key pair is never changed and, once deleted, not shown; upstream's answer names it all the same.
    shows("updated_at", NULL, lambda pair, request: None),
    shows("deleted_at", NULL, lambda pair, request: None),
    shows("deleted", BOOLEAN, lambda pair, request: False),
)


# Each item of the list stands under a key of its own.
_ITEM: View = view(shows("keypair", _LISTED.shape(), lambda pair, request: _LISTED.renderer(request)(pair)))


@get(
    "/os-keypairs",
    policy="os_compute_api:os-keypairs:index",
    target=USER,
    query=LIST,
    answer=listing("keypairs", _ITEM, links_since="2.35"),
    errors=(400,),
)
def index(request: Request) -> Page:
    """Key pairs of the caller or, for administrators, of user_id; paged from 2.35."""
    most = request.conf.api.max_limit
    requested_limit = request.first("limit")
    limit = most if requested_limit is None else min(requested_limit, most)
    pairs = request.conductor.keypairs(_user(request), limit, request.first("marker"))
    is_more = bool(pairs) and len(pairs) == limit and request.since(KEYPAIRS_PAGED)
    return Page(pairs, pairs[-1].name if is_more else None)


@get(
    "/os-keypairs/{name}",
    policy="os_compute_api:os-keypairs:show",
    target=USER,
    query=_OF_USER,
    answer=single("keypair", _SHOWN),
    errors=(404,),
)
def show(request: Request, name: str) -> Keypair:
    """One key pair. The private key is never stored, so never shown here."""
    return request.conductor.keypair(_user(request), name)


@post(
    "/os-keypairs",
    policy="os_compute_api:os-keypairs:create",
    target=USER,
    body=CREATE,
    answer=single("keypair", _CREATED),
    status={"2.1": 200, "2.2": 201},
    errors=(400, 403, 409),
)
def create(request: Request) -> Keypair:
    """Store a public key; before 2.92, make a pair when none is given.

    Raises Invalid for a key that is none, QuotaExceeded, KeypairExists.
    """
    fields = request.body["keypair"]
    user = fields.get("user_id") or request.context.user_id
    kind = fields.get("type", "ssh")
    public = fields.get("public_key")
    pair = keys.describe(kind, public) if public is not None else keys.generate(kind, user)
    stored = request.conductor.add_keypair(
        request.context,
        Keypair(user_id=user, name=fields["name"], type=kind, public_key=pair.public, fingerprint=pair.fingerprint),
        is_imported=public is not None,
    )
    return keys.with_private(stored, pair)


@delete(
    "/os-keypairs/{name}",
    policy="os_compute_api:os-keypairs:delete",
    target=USER,
    query=_OF_USER,
    status={"2.1": 202, "2.2": 204},
    errors=(404,),
)
def remove(request: Request, name: str) -> None:
    """Delete a key pair. Servers that were built with it keep the public key."""
    request.conductor.delete_keypair(request.context, _user(request), name)


def _user(request: Request) -> str:
    return request.first("user_id") or request.context.user_id
