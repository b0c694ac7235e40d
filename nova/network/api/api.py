"""The Networking API v2.0 over HTTP: one way in for every noun.

Nothing is touched before the whole request is valid; whatever goes wrong is answered in the API's
own error body, and a defect never shows its trace.
"""

import logging
from collections.abc import Iterable
from typing import Any

from oslo_config import cfg
from webob import Request, Response

from nova import errors
from nova.http import auth
from nova.http.front import Front
from nova.http.policy import Policy
from nova.http.schema import is_number
from nova.http.wsgi import CONTEXT, ROUTE, Environ, StartResponse, request_id
from nova.network.api import extensions, faults, fields, listing
from nova.network.api.networks import Networks
from nova.network.api.ports import Ports
from nova.network.api.resource import Call, Dataplane, Resource, RevisionMismatch
from nova.network.api.routers import FloatingIps, Routers
from nova.network.api.security_groups import SecurityGroupRules, SecurityGroups
from nova.network.api.subnets import Subnets
from nova.policies import network as rules
from nova.rpc.network import NetworkingCalls

LOG = logging.getLogger(__name__)

# Each costs questions to the conductor before the quota is asked. A server has 128 ports at most.
_ENTRIES_PER_REQUEST = 200

RESOURCES: dict[str, Resource] = {
    resource.path: resource
    for resource in (
        Networks(),
        Subnets(),
        Ports(),
        SecurityGroups(),
        SecurityGroupRules(),
        Routers(),
        FloatingIps(),
    )
}


def application(conf: cfg.ConfigOpts, conductor: NetworkingCalls, dataplane: Dataplane) -> Front:
    """The whole API, with authentication; version documents need none."""
    guarded = auth.authenticate(Api(conf, conductor, dataplane), conf, faults.fault)

    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "").rstrip("/")
        if path in ("", "/v2.0") and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return faults.json(200, extensions.versions(Request(environ), path))(environ, start_response)
        return guarded(environ, start_response)

    return Front(serve, conf, faults.fault)


class Api:
    """Answers requests that carry an identity."""

    def __init__(self, conf: cfg.ConfigOpts, conductor: NetworkingCalls, dataplane: Dataplane) -> None:
        self._conf = conf
        self._conductor = conductor
        self._dataplane = dataplane
        self._policy = Policy(conf, rules.list_rules())

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._answer(
                request, Call(environ[CONTEXT], self._conf, self._conductor, self._dataplane, self._policy)
            )
        except errors.DomainError as error:
            if error.status >= 500:
                LOG.warning("%s %s: %s", request.method, request.path, error)
            response = faults.json(error.status, faults.body(error, environ[CONTEXT].is_admin))
        response.headers["X-Openstack-Request-Id"] = request_id(environ)
        return response(environ, start_response)

    def _answer(self, request: Request, call: Call) -> Response:
        _check_project(call)
        _check_encoding(request)
        parts = [part.removesuffix(".json") for part in request.path_info.strip("/").split("/")]
        if parts[0] != "v2.0" or len(parts) < 2:
            raise errors.NotFound()
        resource = RESOURCES.get(parts[1])
        if resource is None:
            return faults.json(*extensions.answer(request.method, parts[1:], request, call))
        request.environ[ROUTE] = "/".join(["/v2.0", parts[1], *(["{id}"] if parts[2:] else [])])
        match request.method, parts[2:]:
            case "GET", []:
                return faults.json(200, listing.answer(resource, request, call))
            case "POST", []:
                return faults.json(201, self._create(resource, request, call))
            case "GET", [record_id]:
                [view] = resource.views(call, [call.get(resource.noun, record_id)])
                return faults.json(200, {resource.noun: listing.only(view, request.GET.getall("fields"))})
            case "PUT", [record_id]:
                return faults.json(200, self._update(resource, record_id, request, call))
            case "DELETE", [record_id]:
                self._delete(resource, record_id, request, call)
                return faults.json(204, None)
            case method, [record_id, "tags", *rest]:
                return faults.json(*self._tags(resource, record_id, method, rest, request, call))
            case "PUT", [record_id, verb] if verb in getattr(resource, "verbs", {}):
                return faults.json(200, resource.verbs[verb](call, record_id, call.body(request)))  # type: ignore[attr-defined]
            case _:
                raise MethodNotAllowed() if len(parts) < 4 else errors.NotFound()

    def _create(self, resource: Resource, request: Request, call: Call) -> dict[str, Any]:
        body = call.body(request)
        is_bulk = resource.plural in body
        given = body.get(resource.plural if is_bulk else resource.noun)
        entries = given if is_bulk else [given]
        if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
            raise errors.Invalid(f"Resource body required: '{resource.noun}' or '{resource.plural}'.")
        if len(entries) > _ENTRIES_PER_REQUEST:
            raise errors.Invalid(f"A request creates at most {_ENTRIES_PER_REQUEST} {resource.plural}.")
        parsed = [self._parse_new(resource, entry, call) for entry in entries]
        created = resource.store_new(call, [resource.build(call, values) for values in parsed])
        call.dataplane.changed()
        views = resource.views(call, created)
        return {resource.plural: views} if is_bulk else {resource.noun: views[0]}

    def _parse_new(self, resource: Resource, entry: dict[str, Any], call: Call) -> dict[str, Any]:
        entry = dict(entry)
        project = entry.pop("tenant_id", None) or entry.pop("project_id", None)
        if project:
            entry["project_id"] = project
        values = fields.parse(resource.fields, entry, False, call.permits)
        values["project_id"] = project or call.context.project_id
        if values["project_id"] != call.context.project_id and not call.sees_everything:
            raise errors.PolicyDenied(action=f"network:create_{resource.noun}")
        return values

    def _update(self, resource: Resource, record_id: str, request: Request, call: Call) -> dict[str, Any]:
        body = call.body(request).get(resource.noun)
        if not isinstance(body, dict):
            raise errors.Invalid(f"Resource body required: '{resource.noun}'.")
        values = fields.parse(resource.fields, body, True, call.permits)
        changed = resource.update(call, record_id, values, _revision_wanted(request))
        call.dataplane.changed()
        return {resource.noun: resource.views(call, [changed])[0]}

    def _delete(self, resource: Resource, record_id: str, request: Request, call: Call) -> None:
        record = call.get(resource.noun, record_id)
        call.require(f"network:delete_{resource.noun}", record)
        revision = _revision_wanted(request)
        if revision is not None and revision != record.revision_number:
            raise RevisionMismatch(noun=resource.noun, id=record_id)
        resource.check_delete(call, record)
        call.store.delete_networking(resource.noun, record_id)
        call.dataplane.changed()

    def _tags(
        self, resource: Resource, record_id: str, method: str, rest: list[str], request: Request, call: Call
    ) -> tuple[int, Any]:
        record = call.get(resource.noun, record_id)
        tags = record.tags
        match method, rest:
            case "GET", []:
                return 200, {"tags": list(tags)}
            case "GET", [tag]:
                if tag not in tags:
                    raise errors.NetworkingNotFound(noun="tag", id=tag)
                return 204, None
            case "PUT", []:
                wanted = fields.list_of(fields.text(), limit=50)
                tags = _parse_tags(wanted, call.body(request).get("tags"))
            case "PUT", [tag]:
                tags = _parse_tags(fields.list_of(fields.text(), limit=50), list(dict.fromkeys([*tags, tag])))
            case "DELETE", []:
                tags = ()
            case "DELETE", [tag]:
                if tag not in tags:
                    raise errors.NetworkingNotFound(noun="tag", id=tag)
                tags = tuple(one for one in tags if one != tag)
            case _:
                raise MethodNotAllowed()
        resource.update(call, record_id, {"tags": tuple(tags)}, None)
        if method == "DELETE":
            return 204, None
        return (201, None) if rest else (200, {"tags": list(tags)})


class MethodNotAllowed(errors.DomainError):
    status = 405
    text = "This method is not there for this resource."


def _check_project(call: Call) -> None:
    """A token that is of no project (unscoped, of a domain) owns nothing here. Raises Forbidden."""
    if not call.context.project_id and not call.sees_everything:
        raise errors.Forbidden("This API needs a token of a project.")


def _check_encoding(request: Request) -> None:
    """What is not UTF-8 names nothing, and no database takes a NUL."""
    try:
        path = request.path_info
        dict(request.GET)
    except UnicodeDecodeError:
        raise errors.Invalid("The request's URL is not UTF-8.") from None
    if "\0" in path:
        raise errors.NotFound()


def _parse_tags(check: fields.Parser, value: Any) -> tuple[str, ...]:
    try:
        tags: tuple[str, ...] = check(value)
    except ValueError as error:
        raise errors.Invalid(f"Invalid input for tags. Reason: {error}.") from None
    return tags


def _revision_wanted(request: Request) -> int | None:
    given = request.headers.get("If-Match", "")
    name, _, number = given.partition("=")
    if not given or name != "revision_number":
        return None
    if not is_number(number):
        raise errors.Invalid("If-Match holds revision_number=NUMBER.")
    return int(number)
