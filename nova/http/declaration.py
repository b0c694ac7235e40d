"""The declaration of an operation: everything about it but what it does stands in the decorator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nova.http.schema import Obj, Shape, query
from nova.http.versions import FIRST, FOREVER, parse
from nova.http.view import Answer

# Whom a rule is checked against before the handler runs: the caller's own project, the server in
# the path, the user_id the request names (or the caller), or nobody: the handler checks.
PROJECT, SERVER, USER, LATER = "project", "server", "user", "later"

NO_QUERY = query()
# Reading operations without parameters refuse unknown ones from 2.102 on.
READ_QUERY = query(strict_since="2.102")


@dataclass(frozen=True, eq=False)
class Endpoint:
    """One operation of the API. status maps the first version to the success code from then on."""

    method: str
    path: str
    handler: Callable[..., Any]
    policy: str | None = None
    target: str = PROJECT
    action: str | None = None
    body: Shape | None = None
    query: Obj = NO_QUERY
    answer: Answer | None = None
    status: Mapping[int, int] | None = None
    since: int = FIRST
    until: int = FOREVER
    errors: tuple[int, ...] = ()
    is_gone: bool = False
    # What more the conductor is asked to tell of the server in the path, where that costs.
    details: Callable[[Any], dict[str, bool]] | None = None
    # Ours, not upstream's: told apart in the OpenAPI document.
    is_ours: bool = False
    # Success codes beside the declared one: 207 of external events, 204 of a tag that is there.
    other_codes: tuple[int, ...] = ()
    # Answered without a token.
    is_open: bool = False
    # A PUT or POST whose body is nothing at all.
    is_bodyless: bool = False

    def holds(self, version: int) -> bool:
        return self.since <= version <= self.until

    def success(self, version: int) -> int:
        assert self.status is not None
        return [code for since, code in sorted(self.status.items()) if since <= version][-1]

    @property
    def name(self) -> str:
        """The handler's name in its module: servers.create."""
        module = self.handler.__module__.rsplit(".", 1)[-1]
        return f"{module}.{self.handler.__name__}"


def _declare(method: str, path: str, default_status: int, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    status = options.pop("status", default_status)
    if isinstance(status, int):
        status = {FIRST: status}
    else:
        status = {parse(version, FIRST): code for version, code in status.items()}
    since, until = parse(options.pop("since", None), FIRST), parse(options.pop("until", None), FOREVER)

    def decorate(handler: Callable[..., Any]) -> Endpoint:
        return Endpoint(method, path, handler, status=status, since=since, until=until, **options)

    return decorate


def get(path: str, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    options.setdefault("query", READ_QUERY)
    return _declare("GET", path, 200, **options)


def post(path: str, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    return _declare("POST", path, 200, **options)


def put(path: str, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    return _declare("PUT", path, 200, **options)


def delete(path: str, **options: Any) -> Callable[[Callable[..., Any]], Endpoint]:
    return _declare("DELETE", path, 204, **options)


def action(name: str, path: str = "/servers/{server_id}/action", **options: Any) -> Callable[..., Endpoint]:
    """An action: POST to path with the action's name as the body's only key.

    body is the shape of what stands under that key.
    """
    options.setdefault("target", SERVER)
    return _declare("POST", path, 202, action=name, **options)


def gone(method: str, path: str, action: str | None = None) -> Endpoint:
    """An operation that was removed for every version: 410."""
    return Endpoint(method, path, _gone, action=action, is_gone=True, status={FIRST: 410})


def _gone(request: Any) -> None:
    raise AssertionError("a removed operation is answered before its handler")


def collect(*modules: Any) -> list[Endpoint]:
    """The operations declared in some modules, in the order of their declaration."""
    found = []
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Endpoint):
                found.append(value)
            elif isinstance(value, tuple) and value and all(isinstance(one, Endpoint) for one in value):
                found.extend(value)
    return found


def also_at(operation: Endpoint, **changes: Any) -> Endpoint:
    """The same operation at another path, or for other versions."""
    for name, default in (("since", FIRST), ("until", FOREVER)):
        if name in changes:
            changes[name] = parse(changes[name], default)
    return replace(operation, **changes)
