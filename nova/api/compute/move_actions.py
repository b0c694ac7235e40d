"""Actions that change a server's place or size: resize, migrate, evacuate, shelve and what ends them.

Source: Compute API reference, "Servers - run an action", "Servers - run an administrative action".
"""

import uuid as uuids
from typing import Any

from nova import errors
from nova.api.compute.operate import operate
from nova.api.compute.request import Request
from nova.api.compute.servers import make_password
from nova.api.compute.versions import (
    EVACUATE_HOST_CHECKED,
    EVACUATE_WITHOUT_PASSWORD,
    EVACUATED_STAY_OFF,
    LIVE_MIGRATE_HOST_CHECKED,
    MIGRATE_TO_HOST,
    UNSHELVE_TO_ZONE,
)
from nova.http.declaration import action, also_at
from nova.http.schema import (
    ANY,
    BOOLISH,
    HOSTNAME,
    NAME,
    STRING,
    Plain,
    enum,
    nullable,
    obj,
    optional,
    required,
    versioned,
)
from nova.http.view import Answer


@action(
    "resize",
    policy="os_compute_api:servers:resize",
    body=obj(
        required("flavorRef", Plain({"type": ["string", "integer"], "minLength": 1}, str)),
        optional("OS-DCF:diskConfig", enum("AUTO", "MANUAL")),
    ),
    errors=(400, 401, 403, 404, 409),
)
def resize(request: Request) -> None:
    """Change the flavor. The server waits in VERIFY_RESIZE for a confirmation or a revert."""
    operate(
        request,
        "resize",
        migration_id=str(uuids.uuid4()),
        flavor_id=request.body["flavorRef"].rsplit("/", 1)[-1],
        disk_config=request.body.get("OS-DCF:diskConfig"),
    )


@action("confirmResize", policy="os_compute_api:servers:confirm_resize", body=ANY, status=204, errors=(400, 404, 409))
def confirm_resize(request: Request) -> None:
    """Give up the old flavor and what is left on the source host."""
    operate(request, "confirmResize")


@action("revertResize", policy="os_compute_api:servers:revert_resize", body=ANY, errors=(400, 404, 409))
def revert_resize(request: Request) -> None:
    """Return to the old flavor and host."""
    operate(request, "revertResize")


@action(
    "migrate",
    policy="os_compute_api:os-migrate-server:migrate",
    body=versioned(ANY, v2_56=obj(optional("host", nullable(HOSTNAME)), is_nullable=True)),
    errors=(400, 403, 404, 409),
)
def migrate(request: Request) -> None:
    """Move a stopped or running server to another host with downtime, as a resize to the same flavor."""
    host = request.body.get("host") if request.since(MIGRATE_TO_HOST) and isinstance(request.body, dict) else None
    if host is not None:
        _check_rule(request, "os_compute_api:os-migrate-server:migrate:host")
        _check_host(request, host)
    operate(request, "migrate", migration_id=str(uuids.uuid4()), only_host=host)


_AUTO = Plain({"type": ["boolean", "string"], "enum": [*BOOLISH.schema["enum"], "auto"]}, lambda value: _block(value))


def _block(value: bool | str) -> bool | None:
    return None if value == "auto" else BOOLISH.normalise(value)  # type: ignore[misc]


@action(
    "os-migrateLive",
    policy="os_compute_api:os-migrate-server:migrate_live",
    body=obj(
        required("host", nullable(HOSTNAME)),
        required("block_migration", versioned(BOOLISH, v2_25=_AUTO)),
        required("disk_over_commit", BOOLISH, until="2.24"),
        optional("force", BOOLISH, since="2.30", until="2.67"),
    ),
    errors=(400, 403, 404, 409),
)
def migrate_live(request: Request) -> None:
    """Move a running guest to another host without downtime."""
    fields = request.body
    host = fields["host"]
    if host is not None:
        _check_rule(request, "os_compute_api:os-migrate-server:migrate_live:host")
        _check_host(request, host)
    # Before 2.30 a host that was named was not asked of the scheduler.
    force = fields.get("force", False) if request.since(LIVE_MIGRATE_HOST_CHECKED) else host is not None
    if force and host is None:
        raise errors.Invalid("Can't force to a non-provided destination")
    operate(
        request,
        "live-migration",
        migration_id=str(uuids.uuid4()),
        only_host=host,
        force=force,
        is_block=fields["block_migration"],
    )


_EVACUATED = Answer(
    lambda password, request: {"adminPass": password}, obj(optional("adminPass", STRING), is_nullable=True)
)


@action(
    "evacuate",
    policy="os_compute_api:os-evacuate",
    body=obj(
        optional("host", HOSTNAME),
        required("onSharedStorage", BOOLISH, until="2.13"),
        optional("adminPass", STRING),
        optional("force", BOOLISH, since="2.29", until="2.67"),
    ),
    answer=_EVACUATED,
    until="2.13",
    status=200,
    errors=(400, 403, 404, 409),
)
def evacuate(request: Request) -> str | None:
    """Rebuild the server on another host because its own is down. Raises HostInUse while that host is up."""
    fields = request.body
    host = fields.get("host")
    # Before 2.29 a host that was named was not asked of the scheduler.
    force = fields.get("force", False) if request.since(EVACUATE_HOST_CHECKED) else host is not None
    if force and host is None:
        raise errors.Invalid("Can't force to a non-provided destination")
    operate(
        request,
        "evacuate",
        migration_id=str(uuids.uuid4()),
        only_host=host,
        force=force,
        stays_off=request.since(EVACUATED_STAY_OFF),
    )
    if request.since(EVACUATE_WITHOUT_PASSWORD) or not request.conf.api.enable_instance_password:
        return None
    return fields.get("adminPass") or make_password(request.conf.password_length)


evacuate_silently = also_at(evacuate, since="2.14", until="2.104", answer=None)


@action("shelve", policy="os_compute_api:os-shelve:shelve", body=ANY, errors=(400, 403, 404, 409))
def shelve(request: Request) -> None:
    """Snapshot the server and power it off; it is offloaded after [DEFAULT] shelved_offload_time."""
    operate(request, "shelve", image_id=str(uuids.uuid4()))


@action("shelveOffload", policy="os_compute_api:os-shelve:shelve_offload", body=ANY, errors=(400, 404, 409))
def shelve_offload(request: Request) -> None:
    """Remove a shelved server from its host. Its volumes, ports and image stay."""
    operate(request, "shelveOffload")


_UNSHELVE = versioned(
    ANY,
    v2_77=obj(required("availability_zone", NAME), is_nullable=True),
    v2_91=obj(
        optional("availability_zone", nullable(STRING)),
        optional("host", STRING),
        is_nullable=True,
        limits={"minProperties": 1},
    ),
)


@action("unshelve", policy="os_compute_api:os-shelve:unshelve", body=_UNSHELVE, errors=(400, 403, 404, 409))
def unshelve(request: Request) -> None:
    """Start a shelved server, on any host when it was offloaded; from 2.77 in a given zone, from 2.91 on a host."""
    fields: dict[str, Any] = request.body if request.since(UNSHELVE_TO_ZONE) and isinstance(request.body, dict) else {}
    zone, host = fields.get("availability_zone"), fields.get("host")
    if host is not None:
        _check_rule(request, "os_compute_api:os-shelve:unshelve_to_host")
        _check_host(request, host)
    if zone is not None and zone not in _zones(request):
        raise errors.Invalid(f"The requested availability zone is not available: {zone}")
    operate(request, "unshelve", only_host=host, new_zone=zone, unpins="availability_zone" in fields and zone is None)


def _check_rule(request: Request, rule: str) -> None:
    server = request.server
    request.check(rule, {"project_id": server.project_id, "user_id": server.user_id})


def _check_host(request: Request, host: str) -> None:
    if not request.conductor.services(request.context, host=host, binary="nova-compute"):
        raise errors.Invalid(f"Compute host {host} could not be found.")


def _zones(request: Request) -> set[str]:
    return {service.zone for service in request.conductor.services(request.context, binary="nova-compute")}
