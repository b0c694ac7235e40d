"""One request as its handler sees it: normalised, with the caller, and the services it may ask."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from oslo_config import cfg

from nova import errors
from nova.clock import parse_utc
from nova.http.declaration import Endpoint
from nova.http.policy import Policy
from nova.http.wsgi import Client
from nova.rpc.conductor import ConductorCalls
from nova.structs.context import Context
from nova.structs.instance import Instance


@dataclass(frozen=True)
class Services:
    """What handlers ask: the conductor, and the services whose data the API passes on."""

    conf: cfg.ConfigOpts
    conductor: ConductorCalls
    policy: Policy
    images: Any = None
    network: Any = None
    volumes: Any = None
    shares: Any = None
    projects: Any = None
    operations: tuple[Endpoint, ...] = ()
    events: Any = None


@dataclass
class Request:
    """body is what stands under the declared key, normalised; query maps names to lists of values.

    server is the one in the path. Only endpoints whose policy rule is checked against it (target=SERVER) have it.
    """

    context: Context
    version: int
    services: Services
    base_url: str
    path: str
    body: Any = None
    query: Mapping[str, list[Any]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    # Whoever takes an answer that is sent piece by piece; None under a server that is not ours.
    client: Client | None = None
    server: Instance = field(init=False, repr=False, compare=False)
    # Answers of allows() in the caller's own project: a list asks once, not once per item.
    _allowed: dict[str, bool] = field(default_factory=dict)

    @property
    def conductor(self) -> ConductorCalls:
        return self.services.conductor

    @property
    def conf(self) -> cfg.ConfigOpts:
        return self.services.conf

    def since(self, version: int) -> bool:
        """Whether the request's version is this one or a later one."""
        return self.version >= version

    def first(self, name: str, default: Any = None) -> Any:
        """The last value of a query parameter, which is the one that counts."""
        values = self.query.get(name)
        return values[-1] if values else default

    def moment(self, name: str) -> datetime.datetime | None:
        """A query parameter that is a time, in UTC. Raises Invalid for what only looks like one."""
        text = self.first(name)
        if text is None:
            return None
        try:
            return parse_utc(text)
        except ValueError as error:
            raise errors.Invalid(f"Invalid time: {text}") from error

    def allows(self, rule: str, target: Mapping[str, Any] | None = None) -> bool:
        """Whether the caller may; without a target, in the caller's own project."""
        if target is not None:
            return self.services.policy.allows(self.context, rule, target)
        known = self._allowed.get(rule)
        if known is None:
            known = self._allowed[rule] = self.services.policy.allows(self.context, rule, self._target(None))
        return known

    def check(self, rule: str, target: Mapping[str, Any] | None = None) -> None:
        """Raises PolicyDenied."""
        self.services.policy.check(self.context, rule, self._target(target))

    def _target(self, target: Mapping[str, Any] | None) -> Mapping[str, Any]:
        if target is not None:
            return target
        return {"project_id": self.context.project_id, "user_id": self.context.user_id}

    def link(self, path: str, is_bookmark: bool = False) -> str:
        """The address of a resource, with the version in it or (a bookmark) without."""
        return f"{self.base_url}{path}" if is_bookmark else f"{self.base_url}/v2.1{path}"

    def links(self, path: str) -> list[dict[str, str]]:
        """The pair of links a resource carries."""
        return [{"rel": "self", "href": self.link(path)}, {"rel": "bookmark", "href": self.link(path, True)}]

    def next_page(self, marker: str) -> str:
        """The address of this list behind marker."""
        pairs = [(name, value) for name, values in self.query.items() for value in values if name != "marker"]
        return f"{self.link(self.path)}?{urlencode([*pairs, ('marker', marker)])}"
