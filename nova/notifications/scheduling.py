"""What the scheduler was asked for a server, and what becomes of a server that nowhere takes."""

from typing import Any

from nova.notifications import faults, flavors
from nova.notifications.envelope import versioned
from nova.notifications.event import NotificationEvent
from nova.structs.image import Image

# Image properties whose value is text; the others have types of their own in the object's declaration.
_TEXTS = (
    "hw_architecture", "hw_cdrom_bus", "hw_disk_bus", "hw_disk_type", "hw_firmware_type", "hw_input_bus",
    "hw_machine_type", "hw_mem_page_size", "hw_rescue_bus", "hw_rescue_device", "hw_rng_model", "hw_scsi_model",
    "hw_sound_model", "hw_tpm_model", "hw_tpm_version", "hw_usb_model", "hw_video_model", "hw_vif_model",
    "hw_vm_mode", "hw_watchdog_action", "img_config_drive", "img_hv_type", "img_owner_id", "img_root_device_name",
    "os_admin_user", "os_command_line", "os_distro", "os_secure_boot", "os_type",
)  # fmt: skip


def request_spec(event: NotificationEvent) -> dict[str, Any]:
    """What the scheduler was asked for. What this scheduler does not know is null."""
    server, about = event.server, event.about
    properties = server.properties
    return versioned(
        "RequestSpecPayload",
        "1.1",
        {
            "instance_uuid": server.uuid,
            "project_id": server.project_id,
            "user_id": server.user_id,
            "availability_zone": properties.requested_zone,
            "flavor": flavors.of(event.flavor),
            "image": _image(server.image) if server.image else None,
            "num_instances": 1,
            "ignore_hosts": list(about.get("refused", ())) or None,
            "force_hosts": properties.requested_host,
            "force_nodes": None,
            "scheduler_hints": {name: _texts(value) for name, value in properties.scheduler_hints.items()},
            "security_groups": list(properties.security_groups),
            "instance_group": None,
            "numa_topology": None,
            "pci_requests": versioned(
                "InstancePCIRequestsPayload", "1.0", {"instance_uuid": server.uuid, "requests": []}
            ),
            "requested_destination": None,
            "retry": None,
        },
    )


def compute_task(event: NotificationEvent) -> dict[str, Any]:
    """The error that ended an operation before a host had it."""
    return versioned(
        "ComputeTaskPayload",
        "1.0",
        {
            "instance_uuid": event.server.uuid,
            "state": str(event.server.vm_state),
            "reason": faults.exception(event),
            "request_spec": request_spec(event),
        },
    )


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _image(image: Image) -> dict[str, Any]:
    properties = {name: image.properties[name] for name in _TEXTS if name in image.properties}
    return versioned(
        "ImageMetaPayload",
        "1.0",
        {
            "id": image.id,
            "name": image.name,
            "status": image.status,
            "visibility": image.visibility,
            "owner": image.owner,
            "disk_format": image.disk_format,
            "container_format": image.container_format,
            "checksum": image.checksum,
            "size": image.size,
            "virtual_size": None,
            "min_disk": image.min_disk,
            "min_ram": image.min_ram,
            "created_at": image.created_at,
            "updated_at": image.created_at,
            "protected": False,
            "direct_url": None,
            "tags": [],
            "properties": versioned("ImageMetaPropsPayload", "1.19", properties),
        },
    )
