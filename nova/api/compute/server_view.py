"""What users see of a server: its status, its fields at each microversion, its links."""

import datetime
import functools
import hashlib
from dataclasses import replace
from typing import Any

from nova.api.compute.request import Request
from nova.api.compute.versions import (
    ALL_SERVER_ATTRIBUTES,
    HOST_STATUS,
    KEY_NAME_AFTER_REBUILD,
    WHOLE_SERVER_AFTER_CHANGE,
)
from nova.http.schema import (
    BOOLEAN,
    INTEGER,
    LINK,
    NUMBER,
    STRING,
    TIME,
    UUID,
    Plain,
    arr,
    nullable,
    obj,
    one_of,
    optional,
    required,
)
from nova.http.view import ABSENT, Shown, View, shows, view
from nova.structs.instance import BlockDevice, Instance, VmState

_STATUS: dict[VmState, dict[str | None, str]] = {
    VmState.ACTIVE: {
        None: "ACTIVE", "rebooting": "REBOOT", "reboot_pending": "REBOOT", "reboot_started": "REBOOT",
        "rebooting_hard": "HARD_REBOOT", "reboot_pending_hard": "HARD_REBOOT", "reboot_started_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD", "rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD", "migrating": "MIGRATING", "resize_prep": "RESIZE", "resize_migrating": "RESIZE",
        "resize_migrated": "RESIZE", "resize_finish": "RESIZE",
    },
    VmState.BUILDING: {None: "BUILD"},
    VmState.STOPPED: {
        None: "SHUTOFF", "resize_prep": "RESIZE", "resize_migrating": "RESIZE", "resize_migrated": "RESIZE",
        "resize_finish": "RESIZE", "rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD",
        "rebuild_spawning": "REBUILD",
    },
    VmState.RESIZED: {None: "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
    VmState.PAUSED: {None: "PAUSED", "migrating": "MIGRATING"},
    VmState.SUSPENDED: {None: "SUSPENDED"},
    VmState.RESCUED: {None: "RESCUE"},
    VmState.ERROR: {
        None: "ERROR", "rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD", "rebuild_spawning": "REBUILD",
    },
    VmState.DELETED: {None: "DELETED"},
    VmState.SOFT_DELETED: {None: "SOFT_DELETED"},
    VmState.SHELVED: {None: "SHELVED"},
    VmState.SHELVED_OFFLOADED: {None: "SHELVED_OFFLOADED"},
}  # fmt: skip

# Statuses in which the answer shows the progress of the operation.
_WITH_PROGRESS = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING")


def status(instance: Instance) -> str:
    """The status of a server. Source: Compute API guide, "Server concepts"."""
    by_task = _STATUS[instance.vm_state]
    return by_task.get(instance.task_state, by_task[None])


def states_of(name: str) -> tuple[tuple[VmState, ...], tuple[str | None, ...] | None]:
    """The vm_states a status filter means, and the task_states that go with it (None: any).

    An unknown status means no state.
    """
    vm_states, task_states = [], []
    for vm_state, by_task in _STATUS.items():
        tasks = [task for task, shown in by_task.items() if shown == name.upper()]
        if tasks:
            vm_states.append(vm_state)
            task_states.extend(tasks)
    if None in task_states:
        return tuple(vm_states), None
    return tuple(vm_states), tuple(task_states)


def time(value: datetime.datetime | None) -> str | None:
    """A time in ISO 8601, whole seconds."""
    return None if value is None else value.isoformat(timespec="seconds") + "Z"


def _exact_time(value: datetime.datetime | None) -> str | None:
    return None if value is None else value.isoformat(timespec="microseconds")


def host_id(instance: Instance) -> str:
    """The same for all servers of a project on one host, and telling nothing else."""
    return host_id_of(instance.project_id, instance.host)


@functools.lru_cache(maxsize=10000)
def host_id_of(project_id: str, host: str | None) -> str:
    """The hostId of a project's servers on a host; empty without a host."""
    return hashlib.sha224((project_id + host).encode()).hexdigest() if host else ""


def addresses(instance: Instance) -> dict[str, list[dict[str, Any]]]:
    """A server's addresses by network."""
    networks: dict[str, list[dict[str, Any]]] = {}
    for vif in instance.vifs:
        listed = networks.setdefault(vif.network_label, [])
        for ip in vif.fixed_ips:
            for address, kind in (
                (ip.address, "fixed"),
                *((floating_ip, "floating") for floating_ip in ip.floating_ips),
            ):
                listed.append(
                    {
                        "version": 6 if ":" in address else 4,
                        "addr": address,
                        "OS-EXT-IPS-MAC:mac_addr": vif.mac,
                        "OS-EXT-IPS:type": kind,
                    }
                )
    return networks


def _links(instance: Instance, request: Request) -> list[dict[str, str]]:
    return request.links(f"/servers/{instance.uuid}")


def _image(instance: Instance, request: Request) -> Any:
    return _bookmark("images", instance.image_id, request) if instance.image_id is not None else ""


def _image_with_properties(instance: Instance, request: Request) -> Any:
    image = _image(instance, request)
    return image and {**image, "properties": dict(instance.image.properties) if instance.image else {}}


def _bookmark(collection: str, resource_id: str, request: Request) -> dict[str, Any]:
    href = request.link(f"/{collection}/{resource_id}", True)
    return {"id": resource_id, "links": [{"rel": "bookmark", "href": href}]}


def _flavor_link(instance: Instance, request: Request) -> dict[str, Any]:
    return _bookmark("flavors", instance.flavor.id, request)


def _flavor(instance: Instance, request: Request) -> dict[str, Any]:
    flavor = instance.flavor
    shown: dict[str, Any] = {
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "original_name": flavor.name,
    }
    if request.allows("os_compute_api:servers:show:flavor-extra-specs"):
        shown["extra_specs"] = flavor.extra_specs
    return shown


def _fault(instance: Instance, request: Request) -> Any:
    fault = instance.fault
    if fault is None or status(instance) not in ("ERROR", "DELETED"):
        return ABSENT
    shown = {"code": fault.code, "created": time(fault.created_at), "message": fault.message}
    if fault.details and request.context.is_admin:
        shown["details"] = fault.details
    return shown


def _progress(instance: Instance, request: Request) -> Any:
    return instance.properties.progress if status(instance) in _WITH_PROGRESS else ABSENT


def _security_groups(instance: Instance, request: Request) -> Any:
    names = dict.fromkeys(name for vif in instance.vifs for name in vif.security_groups)
    if not names and not instance.vifs:
        names = dict.fromkeys(instance.properties.security_groups or ("default",)) if instance.host is None else {}
    return [{"name": name} for name in names] if names else ABSENT


def _volumes(instance: Instance) -> list[BlockDevice]:
    return [device for device in instance.block_devices if device.destination == "volume" and device.volume_id]


def _volume_ids(instance: Instance, request: Request) -> list[dict[str, Any]]:
    return [{"id": device.volume_id} for device in _volumes(instance)]


def _volumes_attached(instance: Instance, request: Request) -> list[dict[str, Any]]:
    return [
        {"id": device.volume_id, "delete_on_termination": device.delete_on_termination} for device in _volumes(instance)
    ]


def _property(name: str) -> Any:
    return lambda instance, request: getattr(instance.properties, name)


def _image_property(name: str) -> Any:
    return lambda instance, request: (instance.image.properties.get(name) or "") if instance.image else ""


_HOST_STATUS = "os_compute_api:servers:show:host_status"
_RULES = {
    "attributes": "os_compute_api:os-extended-server-attributes",
    # Callers with this rule alone see UNKNOWN and no other status.
    "host_status": f"{_HOST_STATUS}:unknown-only",
}


def _host_status(instance: Instance, request: Request) -> Any:
    host_status = instance.host_status
    return host_status if host_status == "UNKNOWN" or request.allows(_HOST_STATUS) else ABSENT


def rights(request: Request) -> frozenset[str]:
    """What this caller may see of servers beyond the ordinary."""
    allowed = {name for name, rule in _RULES.items() if request.allows(rule)}
    return frozenset(allowed | {"host_status"} if request.allows(_HOST_STATUS) else allowed)


def details(request: Request) -> dict[str, bool]:
    """What the conductor is to read beside a server's record: only what this version and caller are shown."""
    seen = rights(request)
    return {
        "with_user_data": request.since(ALL_SERVER_ATTRIBUTES) and "attributes" in seen,
        "with_host_status": request.since(HOST_STATUS) and "host_status" in seen,
    }


_ADDRESS = one_of(Plain({"type": "string", "format": "ipv4"}), Plain({"type": "string", "const": ""}))
_ADDRESS_6 = one_of(Plain({"type": "string", "format": "ipv6"}), Plain({"type": "string", "const": ""}))
_ADDRESSES = obj(
    patterns={
        "^.*$": arr(
            obj(
                required("addr", STRING),
                required("version", INTEGER),
                required("OS-EXT-IPS:type", STRING),
                required("OS-EXT-IPS-MAC:mac_addr", STRING),
            )
        )
    }
)
_BRIEF_ADDRESSES = obj(patterns={"^.*$": arr(obj(required("addr", STRING), required("version", INTEGER)))})
_LINKS = arr(LINK)
_STRINGS = obj(patterns={"^.*$": STRING})
_VOLUME_ID = obj(required("id", STRING))
_VOLUME = obj(required("id", STRING), required("delete_on_termination", BOOLEAN))
_FLAVOR_LINK = obj(required("id", STRING), required("links", _LINKS))
_FLAVOR = obj(
    required("vcpus", INTEGER),
    required("ram", INTEGER),
    required("disk", INTEGER),
    required("ephemeral", INTEGER),
    required("swap", INTEGER),
    required("original_name", STRING),
    optional("extra_specs", _STRINGS),
)
_IMAGE = one_of(
    Plain({"type": "string", "const": ""}),
    obj(required("id", UUID), required("links", _LINKS), optional("properties", _STRINGS, since="2.98")),
)
_FAULT = obj(
    required("code", INTEGER), required("created", TIME), required("message", STRING), optional("details", STRING)
)

BASIC: View = view(
    shows("id", UUID, "uuid"),
    shows("name", STRING),
    shows("links", _LINKS, _links),
)

_CORE = (
    shows("id", UUID, "uuid"),
    shows("name", STRING),
    shows("status", STRING, lambda instance, request: status(instance)),
    shows("tenant_id", STRING, "project_id"),
    shows("user_id", STRING),
    shows("metadata", _STRINGS),
    shows("hostId", STRING, lambda instance, request: host_id(instance)),
    shows("image", _IMAGE, _image, until="2.97"),
    shows("image", _IMAGE, _image_with_properties, since="2.98"),
    shows("flavor", _FLAVOR_LINK, _flavor_link, until="2.46"),
    shows("flavor", _FLAVOR, _flavor, since="2.47"),
    shows("created", TIME, lambda instance, request: time(instance.created_at)),
    shows("updated", TIME, lambda instance, request: time(instance.updated_at or instance.created_at)),
    shows("addresses", _ADDRESSES, lambda instance, request: addresses(instance)),
    shows("accessIPv4", _ADDRESS, lambda instance, request: instance.properties.access_ip_v4 or ""),
    shows("accessIPv6", _ADDRESS_6, lambda instance, request: instance.properties.access_ip_v6 or ""),
    shows("links", _LINKS, _links),
    shows("OS-DCF:diskConfig", STRING, _property("disk_config")),
)

_SHARED = (
    shows("progress", NUMBER, _progress, is_optional=True),
    shows("fault", _FAULT, _fault, is_optional=True),
)

_STATE = (
    shows("OS-EXT-AZ:availability_zone", STRING, lambda instance, request: instance.availability_zone or ""),
    shows("config_drive", STRING, lambda instance, request: "True" if instance.properties.config_drive else ""),
    shows("key_name", nullable(STRING)),
    shows("OS-SRV-USG:launched_at", nullable(STRING), lambda instance, request: _exact_time(instance.launched_at)),
    shows("OS-SRV-USG:terminated_at", nullable(STRING), lambda instance, request: _exact_time(instance.terminated_at)),
    shows("security_groups", arr(obj(required("name", STRING))), _security_groups, is_optional=True),
    shows("OS-EXT-SRV-ATTR:host", nullable(STRING), "host", right="attributes"),
    shows("OS-EXT-SRV-ATTR:instance_name", STRING, lambda i, r: r.conf.instance_name_template % i.id, right="attributes"),
    shows("OS-EXT-SRV-ATTR:hypervisor_hostname", nullable(STRING), "node", right="attributes"),
    shows("OS-EXT-SRV-ATTR:reservation_id", STRING, "reservation_id", "2.3", right="attributes"),
    shows("OS-EXT-SRV-ATTR:launch_index", INTEGER, _property("launch_index"), "2.3", right="attributes"),
    shows("OS-EXT-SRV-ATTR:hostname", STRING, "hostname", "2.3", "2.89", right="attributes"),
    shows("OS-EXT-SRV-ATTR:hostname", STRING, "hostname", "2.90"),
    shows("OS-EXT-SRV-ATTR:kernel_id", STRING, _image_property("kernel_id"), "2.3", right="attributes"),
    shows("OS-EXT-SRV-ATTR:ramdisk_id", STRING, _image_property("ramdisk_id"), "2.3", right="attributes"),
    shows("OS-EXT-SRV-ATTR:root_device_name", nullable(STRING), _property("root_device_name"), "2.3", right="attributes"),
    shows("OS-EXT-SRV-ATTR:user_data", nullable(STRING), "user_data", "2.3", right="attributes"),
    shows("OS-EXT-STS:task_state", nullable(STRING), "task_state"),
    shows("OS-EXT-STS:vm_state", STRING, lambda instance, request: str(instance.vm_state)),
    shows("OS-EXT-STS:power_state", INTEGER, lambda instance, request: int(instance.power_state)),
    shows("os-extended-volumes:volumes_attached", arr(_VOLUME_ID), _volume_ids, until="2.2"),
    shows("os-extended-volumes:volumes_attached", arr(_VOLUME), _volumes_attached, "2.3"),
    shows("locked", BOOLEAN, "is_locked", "2.9"),
    shows("host_status", STRING, _host_status, "2.16", right="host_status"),
    shows("description", nullable(STRING), _property("description"), "2.19"),
    shows("tags", arr(STRING), lambda instance, request: list(instance.tags), "2.26"),
    shows("trusted_image_certificates", arr(STRING, is_nullable=True), _property("trusted_certs"), "2.63"),
    shows("server_groups", arr(UUID), lambda i, r: [i.properties.server_group] if i.properties.server_group else [], "2.71"),
    shows("locked_reason", nullable(STRING), _property("locked_reason"), "2.73"),
    shows("pinned_availability_zone", nullable(STRING), _property("requested_zone"), "2.96"),
    shows("scheduler_hints", obj(is_open=True), _property("scheduler_hints"), "2.100"),
)  # fmt: skip

DETAIL: View = view(*_CORE, *_SHARED, *_STATE, rights=rights)
# Lists do not show server groups.
LISTED: View = view(*_CORE, *_SHARED, *(key for key in _STATE if key.name != "server_groups"), rights=rights)

# Keys that the answer to a change shows at every version that has them.
_IN_CHANGED = {"locked", "description", "tags", "trusted_image_certificates", "server_groups", "locked_reason"}


def _changed_addresses(instance: Instance, request: Request) -> dict[str, list[dict[str, Any]]]:
    """Without MAC address and type, which the answer to a change does not have before 2.75."""
    return {
        network: [{"addr": entry["addr"], "version": entry["version"]} for entry in entries]
        for network, entries in addresses(instance).items()
    }


def _in_changed(key: Shown) -> Shown:
    if key.name in _IN_CHANGED:
        return key
    return replace(key, since=max(key.since, WHOLE_SERVER_AFTER_CHANGE))


def _in_rebuilt(key: Shown) -> Shown:
    return replace(key, since=KEY_NAME_AFTER_REBUILD) if key.name == "key_name" else _in_changed(key)


_CHANGED_CORE = (
    *(replace(key, since=WHOLE_SERVER_AFTER_CHANGE) if key.name == "addresses" else key for key in _CORE),
    shows("addresses", _BRIEF_ADDRESSES, _changed_addresses, until="2.74"),
)
# An update answers with the server, and with all of it from 2.75 on.
UPDATED: View = view(*_CHANGED_CORE, *_SHARED, *map(_in_changed, _STATE), rights=rights)
# So does a rebuild, which has words of its own for the key pair and the user data.
REBUILT: View = view(
    *_CHANGED_CORE,
    *(replace(key, is_optional=key.name != "progress") for key in _SHARED),
    *(_in_rebuilt(key) for key in _STATE if key.name != "OS-EXT-SRV-ATTR:user_data"),
    shows("user_data", nullable(STRING), "user_data", "2.57"),
    rights=rights,
)
