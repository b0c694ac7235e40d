"""Acceptance: the one transaction after which a request cannot be lost.

Everything a request may be refused for is found out here or before; what comes later ends in a
server's fault.
"""

import re
import secrets
import uuid as uuids
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.clock import utcnow
from nova.conductor.acceptance import image_fit, image_properties, limits, local_disks
from nova.conductor.calls import groups
from nova.conductor.core import Core
from nova.conductor.engine.operation import Acceptance, Operation
from nova.conductor.workflows import WORKFLOWS, attach_volume, destination, volumes
from nova.conductor.workflows.build import BUILD, Build
from nova.db import events, flavors, instances, keypairs, operations, quotas, server_groups
from nova.db.operations import Lease
from nova.structs.context import Context
from nova.structs.event_details import EventDetails
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice, Instance, KeypairRef, Properties, VmState
from nova.structs.requests import BuildRequest
from nova.structs.server_group import ServerGroup

_NOT_IN_HOSTNAMES = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True)
class Accepted:
    """A server with its operation accepted: the operation to run, or the one that has to make way."""

    instance: Instance
    lease: Lease | None = None
    overtaken: str | None = None


def accept_operation(
    connection: Connection, core: Core, context: Context, server_id: str, workflow: Operation[Any], document: Any
) -> Accepted:
    """Accept an operation on a server.

    Raises ServerNotFound, ServerIsLocked, WrongServerState, LeftToDo.
    """
    instance = instances.get(connection, server_id, for_update=True)
    if instance.is_deleted:
        raise errors.ServerNotFound(server_id=server_id)
    if instance.is_locked and not context.is_admin and not workflow.ignores_lock:
        raise errors.ServerIsLocked(server_id=server_id)
    if not workflow.may_start_in(instance.vm_state, document):
        raise errors.WrongServerState(
            action=workflow.asked_for, server_id=server_id, attribute="vm_state", state=str(instance.vm_state)
        )
    if instance.shares and workflow.bars_shares:
        raise errors.SharesAttached(action=workflow.asked_for, server_id=server_id)
    active = operations.active(connection, server_id, for_update=True)
    if active is not None:
        return _overtake(connection, core, context, instance, workflow, document, active)
    _settle_left(connection, core, instance, workflow)
    document = workflow.begin(Acceptance(connection, core.conf, context, instance), document)
    task_state = workflow.steps[0].shows(document)
    instances.change(connection, server_id, task_state=task_state)
    _log(connection, context, instance, workflow, document, task_state)
    lease = core.engine.accept(connection, context, workflow, instance, document)
    if lease is None:
        raise errors.ServerNotReady(server_id=server_id)
    return Accepted(msgspec.structs.replace(instance, task_state=task_state), lease)


def _settle_left(connection: Connection, core: Core, instance: Instance, workflow: Operation[Any]) -> None:
    """What is left of another operation is done first: what needs the same things is refused meanwhile."""
    left = operations.left(connection, instance.uuid)
    if left is None or workflow.waits:
        return
    if workflow.overtakes or workflow.ends_left:
        operations.end_left(connection, instance.uuid)
        return
    failure = msgspec.json.decode(left.failure, type=operations.Failure)
    if not (workflow.beside_left and failure.is_settled):
        core.engine.wake(left.uuid)
        raise errors.LeftToDo(
            action=workflow.asked_for, server_id=instance.uuid, operation=left.name, reason=failure.message
        )


def _overtake(
    connection: Connection,
    core: Core,
    context: Context,
    instance: Instance,
    workflow: Operation[Any],
    document: Any,
    active: Any,
) -> Accepted:
    """Another operation is under way: a delete makes it unwind, some wait for it, anything else is refused."""
    # Nothing comes after a delete.
    if workflow.waits and instance.task_state != "deleting":
        document = workflow.begin(Acceptance(connection, core.conf, context, instance), document)
        core.engine.accept(connection, context, workflow, instance, document, operations.WAITING)
        return Accepted(instance)
    if not workflow.overtakes:
        comes_soon = workflow.takes_turns and active.state == operations.RUNNING and _takes_turns(active.name)
        if comes_soon:
            # Whatever it is refused for is known now; nothing that it writes stays.
            workflow.begin(Acceptance(connection, core.conf, context, instance), document)
        raise (errors.ServerInUse if comes_soon else errors.WrongServerState)(
            action=workflow.asked_for,
            server_id=instance.uuid,
            attribute="task_state",
            # Some actions show nothing while they are under way.
            state=instance.task_state or active.name,
        )
    queued = operations.queued(connection, instance.uuid)
    coming = active.name if queued is None else queued.name
    # A server that is deleted cannot be restored; one that is to be kept can be deleted for good.
    if coming == workflow.name or (
        coming in operations.FOR_GOOD and (queued is not None or workflow.name not in operations.FOR_GOOD)
    ):
        return Accepted(instance)
    if queued is not None:
        operations.drop_queued(connection, instance.uuid)
    core.engine.accept(connection, context, workflow, instance, document, operations.QUEUED)
    operations.cancel(connection, active.uuid)
    instances.change(connection, instance.uuid, task_state="deleting")
    _log(connection, context, instance, workflow, document, "deleting")
    return Accepted(msgspec.structs.replace(instance, task_state="deleting"), overtaken=active.uuid)


def _takes_turns(name: str) -> bool:
    workflow = WORKFLOWS.get(name)
    return workflow is not None and workflow.takes_turns


def accept_build(
    connection: Connection,
    core: Core,
    context: Context,
    request: BuildRequest,
    devices: Sequence[tuple[BlockDevice, ...]],
) -> list[tuple[Instance, Lease]]:
    """Accept a request for servers: as many as fit the quota, from max_count down to min_count.

    devices: the block devices of each.
    """
    project = None if context.is_admin else context.project_id
    flavor = flavors.get(connection, request.flavor_id, project)
    if flavor.is_disabled:
        raise errors.FlavorNotFound(flavor_id=flavor.id)
    image_fit.check(None if request.boots_from_volume else request.image, flavor)
    if flavor.root_gb == 0 and not request.boots_from_volume and not request.may_have_no_disk:
        raise errors.Forbidden("Only volume-backed servers are allowed for flavors with zero disk.")
    volumes = [local_disks.without_local(each, flavor) for each in devices]
    destination.check_zone(connection, core.conf, request.availability_zone)
    destination.check_host(connection, request.host, request.node)
    keypair = _keypair(connection, context, request)
    group = _group(connection, core, context, request)
    count = _take_quota(connection, core, context, request, flavor)
    reservation = f"r-{secrets.token_hex(4)}"
    made = []
    for index in range(count):
        instance = _record(core, context, request, flavor, keypair, group, reservation, index)
        instance = msgspec.structs.replace(instance, block_devices=_named(instance, volumes[index]))
        instances.unique_name(
            connection, instance.name, core.conf.osapi_compute_unique_server_name_scope, context.project_id
        )
        instance = instances.add(connection, instance)
        if group is not None:
            server_groups.add_member(connection, group.uuid, instance.uuid)
            joined = msgspec.structs.replace(group, members=(instance.uuid,))
            groups.log(connection, context, "add_member", joined)
        document = _document(context, request, instance, group)
        lease = core.engine.accept(connection, context, BUILD, instance, document, is_first=True)
        assert lease is not None
        _log(connection, context, instance, BUILD, document, "scheduling")
        made.append((instance, lease))
    return made


def preview_build(
    connection: Connection, core: Core, context: Context, request: BuildRequest
) -> tuple[Instance, Build]:
    """The first server of a request as it would be recorded, and its operation; nothing is kept of either."""
    flavor = flavors.get(connection, request.flavor_id, None if context.is_admin else context.project_id)
    if flavor.is_disabled:
        raise errors.FlavorNotFound(flavor_id=flavor.id)
    image_fit.check(None if request.boots_from_volume else request.image, flavor)
    destination.check_zone(connection, core.conf, request.availability_zone)
    destination.check_host(connection, request.host, request.node)
    group = _group(connection, core, context, request)
    instance = _record(core, context, request, flavor, None, group, "", 0)
    return instance, _document(context, request, instance, group)


def _needs_config_drive(request: BuildRequest) -> bool:
    return request.image is not None and image_properties.wants_config_drive(request.image.properties)


def _keypair(connection: Connection, context: Context, request: BuildRequest) -> KeypairRef | None:
    if request.key_name is None:
        return None
    try:
        pair = keypairs.get(connection, context.user_id, request.key_name)
    except errors.KeypairNotFound as error:
        raise errors.Invalid("Invalid key_name provided.") from error
    return KeypairRef(name=pair.name, type=pair.type, public_key=pair.public_key, fingerprint=pair.fingerprint)


def _group(connection: Connection, core: Core, context: Context, request: BuildRequest) -> ServerGroup | None:
    group = request.scheduler_hints.get("group")
    if isinstance(group, list):
        group = group[0] if group else None
    if not group:
        return None
    server_group = server_groups.without_members(connection, str(group), context.project_id)
    if server_group is None:
        raise errors.Invalid(f"Instance group {group} could not be found.")
    limit = limits.in_force(connection, core.conf, context.project_id)["server_group_members"]
    if 0 <= limit < server_groups.size(connection, str(group)) + request.min_count:
        raise errors.QuotaExceeded("Quota exceeded, too many servers in group")
    return server_group


def _take_quota(connection: Connection, core: Core, context: Context, request: BuildRequest, flavor: Flavor) -> int:
    """Count servers into the quota; how many there may be. Raises QuotaExceeded below min_count."""
    limit = limits.in_force(connection, core.conf, context.project_id)
    each = {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb}
    # One less at a time from what fits now: other requests of the project take theirs meanwhile.
    most = max(request.min_count, min(request.max_count, quotas.room(connection, context.project_id, each, limit)))
    for count in range(most, request.min_count - 1, -1):
        amounts = {resource: count * amount for resource, amount in each.items()}
        try:
            # What was counted for one server too many is taken back; the last try is the transaction's own.
            with nullcontext() if count == request.min_count else connection.begin_nested():
                quotas.take(connection, context.project_id, amounts, limit)
        except errors.QuotaExceeded:
            if count == request.min_count:
                raise
        else:
            return count
    raise AssertionError("unreachable")


def _record(
    core: Core,
    context: Context,
    request: BuildRequest,
    flavor: Flavor,
    keypair: KeypairRef | None,
    group: ServerGroup | None,
    reservation: str,
    index: int,
) -> Instance:
    """The record of a request's server of this index, as it is before anything has happened."""
    suffix = f"-{index + 1}" if request.max_count > 1 else ""
    uuid = str(uuids.uuid4())
    name = request.name + suffix
    return Instance(
        id=0,
        uuid=uuid,
        project_id=context.project_id,
        user_id=context.user_id,
        name=name,
        hostname=request.hostname + suffix if request.hostname else hostname(name, uuid),
        vm_state=VmState.BUILDING,
        task_state="scheduling",
        flavor=flavor,
        created_at=utcnow(),
        updated_at=utcnow(),
        availability_zone=request.availability_zone or core.conf.default_schedule_zone,
        image_id=request.image.id if request.image and not request.boots_from_volume else None,
        image=request.image,
        key_name=request.key_name,
        reservation_id=reservation,
        metadata=request.metadata,
        tags=tuple(dict.fromkeys(request.tags)),
        user_data=request.user_data,
        generation=1,
        last_generation=1,
        properties=_properties(request, keypair, group, index),
    )


def _properties(request: BuildRequest, keypair: KeypairRef | None, group: ServerGroup | None, index: int) -> Properties:
    return Properties(
        description=request.description,
        access_ip_v4=request.access_ip_v4,
        access_ip_v6=request.access_ip_v6,
        config_drive=request.config_drive or _needs_config_drive(request),
        disk_config=request.disk_config,
        launch_index=index,
        root_device_name="/dev/vda",
        keypair=keypair,
        trusted_certs=request.trusted_certs,
        security_groups=request.security_groups,
        scheduler_hints=request.scheduler_hints,
        server_group=group.uuid if group else None,
        requested_zone=request.availability_zone,
        requested_host=request.host,
    )


def _named(instance: Instance, devices: tuple[BlockDevice, ...]) -> tuple[BlockDevice, ...]:
    """The devices with a name each: the volume a server boots from has the root disk's. Raises TooManyDisks."""
    attach_volume.check_room(msgspec.structs.replace(instance, block_devices=()), len(devices))
    named: list[BlockDevice] = []
    for device in devices:
        if device.device_name is None and device.boot_index == 0:
            device = msgspec.structs.replace(device, device_name=instance.properties.root_device_name)
        elif device.device_name is None:
            taken = tuple(device.device_name for device in (*named, *devices) if device.device_name)
            device = msgspec.structs.replace(device, device_name=attach_volume.free_name(instance, taken))
        named.append(device)
    return tuple(named)


def _document(context: Context, request: BuildRequest, instance: Instance, group: ServerGroup | None) -> Build:
    wanted = 1 if request.networks is None else len(request.networks)
    return Build(
        instance_id=instance.uuid,
        networks=request.networks,
        ports=tuple(str(uuids.uuid4()) for _ in range(wanted)),
        security_groups=request.security_groups,
        zone=instance.availability_zone,
        only_host=request.host,
        only_node=request.node,
        group=group.uuid if group else None,
        hints=request.scheduler_hints,
        personality=request.personality,
        has_volumes=bool(volumes.of(instance)),
        project_id=volumes.owner(context),
        password=request.password,
    )


def hostname(name: str, uuid: str) -> str:
    """A host name made of a display name: letters, digits and hyphens, at most 63 of them.

    Source: RFC 1123, 2.1. A name with nothing usable in it becomes Server-UUID.
    """
    folded = _NOT_IN_HOSTNAMES.sub("-", name.lower().replace("_", "-").replace(" ", "-").replace(".", "-"))
    return folded.strip("-")[:63].rstrip("-") or f"Server-{uuid}"


def _log(
    connection: Connection,
    context: Context,
    instance: Instance,
    workflow: Operation[Any],
    document: Any,
    task_state: str | None,
) -> None:
    events.append(
        connection,
        f"instance.{workflow.name}.start",
        instance.project_id,
        {"operation": workflow.name, "step": workflow.steps[0].name, "task_state": task_state},
        instance.uuid,
        context.request_id,
        EventDetails.of(
            context,
            operation=workflow.name,
            moments=("start", f"begins {workflow.steps[0].name}"),
            about=dict(workflow.tells(document)),
            server=instance,
            changes={"task_state": task_state},
        ),
    )
