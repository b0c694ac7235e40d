"""Daemons of the cloud: /os-services. Source: Compute API reference, "Compute services"."""

from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.api.compute.versions import SERVICES_BY_UUID
from nova.http.declaration import delete, get, put
from nova.http.schema import (
    BOOLEAN,
    BOOLISH,
    HOSTNAME,
    INTEGER,
    STRING,
    TIME,
    UUID,
    enum,
    is_number,
    is_uuid,
    nullable,
    obj,
    one_of,
    optional,
    query,
    required,
    string,
    versioned,
)
from nova.http.view import listing, made, shows, single, view
from nova.structs.host import ServiceRecord

_MANAGE = "os_compute_api:os-services:update"
_STATUS = enum("enabled", "disabled")
_REASON = string(minLength=1, maxLength=255)
_BINARY = string(minLength=1, maxLength=255)


def _key(name: str, shape: Any, read: Any = None, since: str | None = None) -> tuple[Any, ...]:
    """From 2.69 on a daemon in a cell that cannot be reached shows but a few keys."""
    return (shows(name, shape, read, since, "2.68"), shows(name, shape, read, "2.69", is_optional=True))


def _status(service: ServiceRecord, request: Request) -> str:
    return "disabled" if service.is_disabled else "enabled"


def _updated(service: ServiceRecord, request: Request) -> str | None:
    moment = service.last_seen_at or service.updated_at
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


_SERVICE = view(
    *_key("id", versioned(INTEGER, v2_53=UUID), lambda s, r: s.uuid if r.since(SERVICES_BY_UUID) else s.id),
    shows("binary", STRING),
    shows("host", STRING),
    *_key("zone", STRING),
    shows("status", versioned(_STATUS, v2_69=enum("enabled", "disabled", "UNKNOWN")), _status),
    *_key("state", enum("up", "down"), lambda service, request: "up" if service.is_up else "down"),
    *_key("updated_at", nullable(TIME), _updated),
    *_key("disabled_reason", nullable(STRING)),
    *_key("forced_down", BOOLEAN, "is_forced_down", since="2.11"),
)
_OLD_SERVICE = obj(
    required(
        "service",
        one_of(
            obj(
                required("binary", STRING),
                required("host", STRING),
                required("status", _STATUS),
                optional("disabled_reason", nullable(STRING)),
            ),
            obj(required("binary", STRING), required("host", STRING), required("forced_down", BOOLEAN)),
        ),
    )
)
_WHERE = (required("host", HOSTNAME), required("binary", _BINARY))
# One body serves all four of the old operations.
_OLD_BODY = obj(*_WHERE, optional("disabled_reason", _REASON), optional("forced_down", BOOLISH, since="2.11"))


@get(
    "/os-services",
    policy="os_compute_api:os-services:list",
    query=query(optional("host", STRING), optional("binary", STRING), strict_since="2.75"),
    answer=listing("services", _SERVICE),
)
def index(request: Request) -> list[ServiceRecord]:
    """Every daemon that ever reported, with whether it is up and enabled."""
    return request.conductor.services(request.context, request.first("host"), request.first("binary"))


@put(
    "/os-services/{service_id}",
    policy=_MANAGE,
    since="2.53",
    body=obj(
        optional("status", _STATUS),
        optional("disabled_reason", _REASON),
        optional("forced_down", BOOLISH),
    ),
    answer=single("service", _SERVICE),
    errors=(400, 404),
)
def update(request: Request, service_id: str) -> ServiceRecord:
    """Enable, disable or force down a nova-compute service."""
    fields = request.body
    if not is_uuid(service_id):
        raise errors.Invalid(f"Invalid uuid {service_id}")
    service = request.conductor.service(request.context, service_id)
    if not fields:
        raise errors.Invalid("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    if service.binary != "nova-compute":
        raise errors.Invalid(f"Updating a {service.binary} service is not supported. Only nova-compute can be updated.")
    status, reason = fields.get("status"), fields.get("disabled_reason")
    if reason is not None and status != "disabled":
        raise errors.Invalid("Specifying disabled_reason requires status 'disabled'.")
    return request.conductor.update_service(
        request.context,
        service_id,
        is_disabled=None if status is None else status == "disabled",
        disabled_reason=reason,
        is_forced_down=fields.get("forced_down"),
    )


@put("/os-services/enable", policy=_MANAGE, until="2.52", body=_OLD_BODY, answer=made(_OLD_SERVICE), errors=(400, 404))
def enable(request: Request) -> dict[str, Any]:
    """Let the scheduler use a host again."""
    service = _requested_service(request)
    request.conductor.update_service(request.context, service.uuid, is_disabled=False)
    return _old(service, status="enabled")


@put("/os-services/disable", policy=_MANAGE, until="2.52", body=_OLD_BODY, answer=made(_OLD_SERVICE), errors=(400, 404))
def disable(request: Request) -> dict[str, Any]:
    """Keep new servers off a host. The servers there run on."""
    service = _requested_service(request)
    request.conductor.update_service(request.context, service.uuid, is_disabled=True)
    return _old(service, status="disabled")


@put(
    "/os-services/disable-log-reason",
    policy=_MANAGE,
    until="2.52",
    body=_OLD_BODY,
    answer=made(_OLD_SERVICE),
    errors=(400, 404),
)
def disable_with_reason(request: Request) -> dict[str, Any]:
    """Disable with a reason that administrators see in the list."""
    reason = request.body.get("disabled_reason")
    if reason is None:
        raise errors.Invalid("Missing disabled reason field")
    service = _requested_service(request)
    request.conductor.update_service(request.context, service.uuid, is_disabled=True, disabled_reason=reason)
    return _old(service, status="disabled", disabled_reason=reason)


@put(
    "/os-services/force-down",
    policy=_MANAGE,
    since="2.11",
    until="2.52",
    body=_OLD_BODY,
    answer=made(_OLD_SERVICE),
    errors=(400, 404),
)
def force_down(request: Request) -> dict[str, Any]:
    """Declare a service down without waiting for service_down_time, or take that back."""
    is_down = request.body.get("forced_down")
    if is_down is None:
        raise errors.Invalid("Missing forced_down field")
    service = _requested_service(request)
    request.conductor.update_service(request.context, service.uuid, is_forced_down=is_down)
    return _old(service, forced_down=is_down)


@delete("/os-services/{service_id}", policy="os_compute_api:os-services:delete", errors=(400, 404, 409))
def remove(request: Request, service_id: str) -> None:
    """Forget a service. Raises Conflict (409) while its host has servers or migrations."""
    if request.since(SERVICES_BY_UUID) and not is_uuid(service_id):
        raise errors.Invalid(f"Invalid uuid {service_id}")
    if not request.since(SERVICES_BY_UUID) and not is_number(service_id):
        raise errors.Invalid(f"Invalid service id {service_id}: it is a number.")
    request.conductor.delete_service(request.context, service_id)


def _requested_service(request: Request) -> ServiceRecord:
    host, binary = request.body["host"], request.body["binary"]
    services = request.conductor.services(request.context, host, binary)
    if not services:
        raise errors.NotFound(f"Could not find binary {binary} on host {host}.")
    return services[0]


def _old(service: ServiceRecord, **changed: Any) -> dict[str, Any]:
    return {"service": {"host": service.host, "binary": service.binary, **changed}}
