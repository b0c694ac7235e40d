"""Servers, as they were at an event, with what the event is about."""

import datetime
from typing import Any

import msgspec

from nova.notifications import faults, flavors, keypairs
from nova.notifications.envelope import time_text, versioned
from nova.notifications.event import NotificationEvent
from nova.structs.instance import Instance, PowerState
from nova.structs.network import FixedIp, Vif

# Source: the Compute API reference's power states, as the versioned objects name them.
_POWER_STATES = {
    PowerState.NOSTATE: "pending",
    PowerState.RUNNING: "running",
    PowerState.PAUSED: "paused",
    PowerState.SHUTDOWN: "shutdown",
    PowerState.CRASHED: "crashed",
    PowerState.SUSPENDED: "suspended",
}


def action(event: NotificationEvent) -> dict[str, Any]:
    """An action with no facts of its own."""
    return _action("InstanceActionPayload", "1.9", event)


def arriving(event: NotificationEvent) -> dict[str, Any]:
    """The server with its new flavor, which its record gets only when the guest is there."""
    server = msgspec.structs.replace(event.server, flavor=event.flavor)
    return _action("InstanceActionPayload", "1.9", event, server)


def create(event: NotificationEvent) -> dict[str, Any]:
    """A build, with the name of the key pair, tags and certificates of the new server."""
    server = event.server
    return _action(
        "InstanceCreatePayload",
        "1.13",
        event,
        keypairs=keypairs.of_server(server),
        tags=list(server.tags),
        trusted_image_certificates=_certificates(server),
        instance_name=_instance_name(event),
    )


def rebuild(event: NotificationEvent) -> dict[str, Any]:
    """A rebuild, with the certificates of the new image."""
    certificates = _certificates(event.server)
    return _action("InstanceActionRebuildPayload", "1.10", event, trusted_image_certificates=certificates)


def rescue(event: NotificationEvent) -> dict[str, Any]:
    """A rescue, with the image it boots from."""
    image = event.about.get("image_id")
    return _action("InstanceActionRescuePayload", "1.4", event, rescue_image_ref=image)


def resize_prep(event: NotificationEvent) -> dict[str, Any]:
    """new_flavor: the flavor there is, when the server only moves."""
    new_flavor = flavors.of(event.flavor)
    return _action("InstanceActionResizePrepPayload", "1.4", event, new_flavor=new_flavor)


def snapshot(event: NotificationEvent) -> dict[str, Any]:
    """A snapshot, with the image it becomes."""
    image = event.about["image_id"]
    return _action("InstanceActionSnapshotPayload", "1.10", event, snapshot_image_id=image)


def volume(event: NotificationEvent) -> dict[str, Any]:
    """An attachment or a detachment, with the volume."""
    return _action("InstanceActionVolumePayload", "1.7", event, volume_id=event.about["volume_id"])


def volume_swap(event: NotificationEvent) -> dict[str, Any]:
    """A swap, with both volumes."""
    return _action(
        "InstanceActionVolumeSwapPayload",
        "1.9",
        event,
        old_volume_id=event.about["volume_id"],
        new_volume_id=event.about["new_volume_id"],
    )


def share(event: NotificationEvent) -> dict[str, Any]:
    """A share attached or detached."""
    return _action("InstanceActionSharePayload", "1.0", event, share_id=event.about["share_id"])


def exists(event: NotificationEvent) -> dict[str, Any]:
    """What a project has had of a server in this period until now: the server is about to become another."""
    return versioned(
        "InstanceExistsPayload", "2.1", {**_facts(event, event.server), "audit_period": _audit_period(event)}
    )


def update(event: NotificationEvent) -> dict[str, Any]:
    """A change of the record, with the states before and after it."""
    was, now = event.was, event.server
    assert was is not None
    states = {
        "old_state": str(was.vm_state),
        "state": str(now.vm_state),
        "old_task_state": was.task_state,
        "new_task_state": now.task_state,
    }
    return versioned(
        "InstanceUpdatePayload",
        "2.1",
        {
            **_facts(event, now),
            "audit_period": _audit_period(event),
            "state_update": versioned("InstanceStateUpdatePayload", "1.0", states),
            "old_display_name": was.name if was.name != now.name else None,
            "tags": list(now.tags),
        },
    )


def has_changed_state(event: NotificationEvent) -> bool:
    """Whether [notifications] notify_on_state_change covers this change."""
    was, now, wanted = event.was, event.server, event.settings.notify_on_state_change
    if was is None or wanted is None:
        return False
    return was.vm_state != now.vm_state or (wanted == "vm_and_task_state" and was.task_state != now.task_state)


def _action(
    name: str, version: str, event: NotificationEvent, server: Instance | None = None, **more: Any
) -> dict[str, Any]:
    facts = _facts(event, server or event.server)
    return versioned(name, version, {**facts, "fault": faults.exception(event), **more})


def _facts(event: NotificationEvent, server: Instance) -> dict[str, Any]:
    properties, image = server.properties, server.image.properties if server.image else {}
    asker = event.details
    return {
        "uuid": server.uuid,
        "user_id": server.user_id,
        "tenant_id": server.project_id,
        "reservation_id": server.reservation_id,
        "display_name": server.name,
        "display_description": properties.description,
        "host_name": server.hostname,
        "host": server.host,
        "node": server.node,
        "availability_zone": server.availability_zone,
        "flavor": flavors.of(server.flavor),
        "image_uuid": server.image_id,
        "architecture": image.get("hw_architecture") or image.get("architecture"),
        "os_type": image.get("os_type"),
        "kernel_id": image.get("kernel_id", ""),
        "ramdisk_id": image.get("ramdisk_id", ""),
        "key_name": server.key_name,
        "created_at": time_text(server.created_at),
        "launched_at": time_text(server.launched_at),
        "updated_at": time_text(server.updated_at),
        "terminated_at": time_text(server.terminated_at),
        "deleted_at": time_text(server.deleted_at),
        "state": str(server.vm_state),
        "task_state": server.task_state,
        "power_state": _POWER_STATES[server.power_state],
        "progress": properties.progress,
        "ip_addresses": [_address(vif, address) for vif in server.vifs for address in vif.fixed_ips],
        "block_devices": _block_devices(server) if event.settings.with_block_devices else [],
        "metadata": server.metadata,
        "locked": server.is_locked,
        "locked_reason": properties.locked_reason,
        "auto_disk_config": properties.disk_config,
        "shares": _shares(server) if event.settings.with_shares else [],
        "request_id": event.request_id,
        "action_initiator_user": asker.user_id or None,
        "action_initiator_project": asker.project_id or None,
    }


def _shares(server: Instance) -> list[dict[str, Any]]:
    """Without the export location, which only administrators may know."""
    return [
        versioned(
            "SharePayload",
            "1.0",
            {
                "share_mapping_uuid": share.uuid,
                "share_id": share.share_id,
                "status": str(share.status_while(server.power_state in (PowerState.RUNNING, PowerState.PAUSED))),
                "tag": share.tag,
            },
        )
        for share in server.shares
    ]


def _address(vif: Vif, address: FixedIp) -> dict[str, Any]:
    return versioned(
        "IpPayload",
        "1.0",
        {
            "label": vif.network_label,
            "mac": vif.mac,
            "meta": {},
            "port_uuid": vif.port_id,
            "version": address.version,
            "address": address.address,
            "device_name": f"tap{vif.port_id[:11]}",
        },
    )


def _block_devices(server: Instance) -> list[dict[str, Any]]:
    """The server's volumes. Disks on the host are described by the flavor."""
    return [
        versioned(
            "BlockDevicePayload",
            "1.0",
            {
                "volume_id": device.volume_id,
                "device_name": device.device_name,
                "tag": device.tag,
                "delete_on_termination": device.delete_on_termination,
                "boot_index": device.boot_index,
            },
        )
        for device in server.block_devices
        if device.volume_id is not None
    ]


def _certificates(server: Instance) -> list[str] | None:
    certificates = server.properties.trusted_certs
    return None if certificates is None else list(certificates)


def _instance_name(event: NotificationEvent) -> str:
    template, server = event.settings.instance_name_template, event.server
    return template % server.id if "%(" not in template else template % {"id": server.id, "uuid": server.uuid}


def _audit_period(event: NotificationEvent) -> dict[str, Any]:
    """From the beginning of the month until now: upstream's default period, as far as it has come."""
    beginning = datetime.datetime(event.at.year, event.at.month, 1)
    return versioned(
        "AuditPeriodPayload",
        "1.0",
        {"audit_period_beginning": time_text(beginning), "audit_period_ending": time_text(event.at)},
    )
