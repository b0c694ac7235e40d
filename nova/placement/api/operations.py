"""The table of operations: which handler answers which method and path since which version, and what it is given.

Handlers register themselves with @operation; the table is complete once their modules are imported.
"""

from collections.abc import Callable

import msgspec
from oslo_config import cfg

from nova.http.policy import Policy
from nova.http.wsgi import ROUTE
from nova.placement.api.schemas import Body
from nova.placement.api.wsgi import MAX_MINOR, Answer, HttpError, Request
from nova.placement.errors import Forbidden
from nova.placement.store import Store

Handler = Callable[..., Answer]


class Service(msgspec.Struct, frozen=True):
    """What handlers are given: the configuration, the store, and the say of policy."""

    conf: cfg.ConfigOpts
    store: Store
    policy: Policy

    def authorize(self, request: Request, rule: str, project_id: str | None = None) -> None:
        """Forbidden unless policy lets the caller do this (to what belongs to project_id)."""
        context = request.context
        target = {
            "project_id": context.project_id if project_id is None else project_id,
            "user_id": context.user_id,
        }
        if not self.policy.allows(context, rule, target):
            raise Forbidden(f"{rule} is not allowed.")


class Endpoint(msgspec.Struct, frozen=True):
    """One declared operation.

    below is the status for a version that does not have it yet. has_body says that the answer
    carries JSON, so that a client must accept that. checks_policy is False for a handler that asks
    for permission itself, because the answer depends on its arguments.
    """

    rule: str | None
    handler: Handler
    body: Body | None
    since: int
    until: int
    below: int
    has_body: bool
    checks_policy: bool


_Key = tuple[str | None, ...]
TABLE: dict[_Key, dict[str, list[Endpoint]]] = {}


def operation(
    method: str,
    path: str,
    rule: str | None,
    *,
    body: Body | None = None,
    since: int = 0,
    until: int = MAX_MINOR,
    below: int = 404,
    has_body: bool = True,
    checks_policy: bool = True,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of an operation; {…} in path is a name."""
    key: _Key = tuple(None if part.startswith("{") else part for part in path.split("/")[1:])

    def declare(handler: Handler) -> Handler:
        declared = Endpoint(rule, handler, body, since, until, below, has_body, checks_policy)
        TABLE.setdefault(key, {}).setdefault(method, []).append(declared)
        return handler

    return declare


def find(request: Request) -> Endpoint:
    """The operation a request asks for; sets request.names to the names in its path."""
    parts = request.path.split("/")[1:]
    methods = TABLE.get(tuple(parts)) if len(parts) < 3 else None
    if methods is None:
        key: _Key = tuple(part if number % 2 == 0 else None for number, part in enumerate(parts))
        methods = TABLE.get(key)
        if methods is None or not all(parts):
            raise HttpError(404)
        request.names = tuple(parts[1::2])
        request.environ[ROUTE] = "/" + "/".join("{}" if part is None else part for part in key)
    else:
        request.environ[ROUTE] = "/" + "/".join(parts)
    operations = methods.get(request.method)
    if operations is None:
        raise HttpError(405, headers=[("Allow", ", ".join(methods))])
    for declared in operations:
        if declared.since <= request.minor <= declared.until:
            return declared
    if operations[0].below == 405:
        raise HttpError(405, headers=[("Allow", ", ".join(name for name in methods if name != request.method))])
    raise HttpError(operations[0].below)


def all_operations() -> list[tuple[str, str, Endpoint]]:
    """Every declared operation with its method and path, names written as {}."""
    return [
        (method, "/" + "/".join("{}" if part is None else part for part in key), declared)
        for key, methods in TABLE.items()
        for method, operations in methods.items()
        for declared in operations
    ]
