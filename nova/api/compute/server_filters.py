"""Which servers a list shows: the filters, sort keys and pages of GET /servers.

Source: Compute API reference, "List Servers", query parameters.
"""

import contextlib
from typing import Any

import msgspec

from nova import errors, patterns
from nova.api.compute import server_view
from nova.api.compute.addresses import canonical
from nova.api.compute.request import Request
from nova.api.compute.versions import FILTERS_OPEN, HOSTNAME_FILTER_OPEN, IP6_FILTER_OPEN, STATUS_FILTER_CHECKED
from nova.http.schema import LIMIT, REGEX, STRING, TIME, enum, is_number, optional, query, versioned
from nova.structs.instance import VmState
from nova.structs.requests import ServerQuery

_SORT_KEYS = {
    "access_ip_v4": None, "access_ip_v6": None, "auto_disk_config": None, "availability_zone": "availability_zone",
    "config_drive": None, "created_at": "created_at", "display_description": None, "display_name": "name",
    "host": "host", "hostname": "hostname", "image_ref": "image_id", "instance_type_id": "flavor_id",
    "kernel_id": None, "key_name": "key_name", "launch_index": None, "launched_at": "launched_at", "locked": "is_locked",
    "locked_by": None, "node": "node", "power_state": "power_state", "progress": None, "project_id": "project_id",
    "ramdisk_id": None, "root_device_name": None, "task_state": "task_state", "terminated_at": "terminated_at",
    "updated_at": "updated_at", "user_id": "user_id", "uuid": "uuid", "vm_state": "vm_state",
}  # fmt: skip
# An order tells what it is made of.
_ADMIN_SORT_KEYS = ("host", "node", "launched_on", "cell_name")
# Columns of upstream's table: accepted until 2.74, and without meaning here.
_OLD_SORT_KEYS = (
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted", "deleted_at",
    "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "memory_mb", "os_type",
    "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)  # fmt: skip
_SORT_KEY = versioned(enum(*_SORT_KEYS, *_OLD_SORT_KEYS), v2_75=enum(*_SORT_KEYS))
_PLAIN = (
    "user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "vm_state", "task_state", "host", "uuid",
    "all_tenants", "soft_deleted", "deleted", "status", "metadata", "system_metadata", "marker", "sort_dir",
    # Without meaning, and yet never refused.
    "block_device_mapping", "services", "info_cache", "security_groups", "pci_devices",
)  # fmt: skip
_PATTERNS = (
    "kernel_id", "ramdisk_id", "hostname", "key_name", "power_state", "node", "flavor", "reservation_id", "launched_at",
    "terminated_at", "availability_zone", "name", "display_name", "description", "display_description", "locked_by",
    "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress", "ip", "ip6",
    "created_at",
)  # fmt: skip

# Found in a text of a server, wherever it stands there.
_IN_TEXTS = (
    "availability_zone", "description", "display_description", "hostname", "kernel_id", "key_name", "node", "ramdisk_id",
    "root_device_name",
)  # fmt: skip

FILTERS = query(
    *(optional(name, STRING) for name in _PLAIN),
    *(optional(name, REGEX) for name in _PATTERNS),
    optional("changes-since", TIME),
    optional("changes-before", TIME, since="2.66"),
    *(optional(name, REGEX, since="2.26") for name in ("tags", "tags-any", "not-tags", "not-tags-any")),
    optional("locked", STRING, since="2.73"),
    optional("limit", LIMIT),
    optional("sort_key", _SORT_KEY),
    strict_since="2.75",
    patterns={"^_": STRING},
)


# Filters that were for administrators alone, and since when they are for everybody.
_OPENED = {
    "availability_zone": FILTERS_OPEN,
    "key_name": FILTERS_OPEN,
    "user_id": FILTERS_OPEN,
    "hostname": HOSTNAME_FILTER_OPEN,
}


def query_of(request: Request) -> tuple[ServerQuery, int]:
    """The query behind a request, and how many servers a page holds.

    Raises Invalid, PolicyDenied for all_tenants and for filters only administrators may use.
    """
    fields: dict[str, Any] = {"project_id": _project(request)}
    admin = request.allows("os_compute_api:servers:allow_all_filters")
    _add_state(request, fields, admin)
    _add_plain(request, fields, admin)
    _add_patterns(request, fields, admin)
    _add_properties(request, fields, admin)
    _add_times(request, fields, admin)
    _add_tags(request, fields)
    fields["sort"] = _sort(request, admin)
    fields["marker"] = request.first("marker")
    most = request.conf.api.max_limit
    limit = request.first("limit")
    return msgspec.convert(fields, ServerQuery), most if limit is None else min(limit, most)


def _project(request: Request) -> str | None:
    """The project whose servers are listed; None for all of them."""
    all_tenants = request.first("all_tenants")
    if all_tenants is not None and is_true(all_tenants, "all_tenants"):
        kind = "detail" if request.path.endswith("/detail") else "index"
        request.check(f"os_compute_api:servers:{kind}:get_all_tenants")
        project: str | None = request.first("project_id") or request.first("tenant_id")
        return project
    return request.context.project_id


def _add_state(request: Request, fields: dict[str, Any], admin: bool) -> None:
    fields["is_deleted"] = False
    deleted = request.first("deleted")
    if admin and deleted is not None:
        fields["is_deleted"] = is_true(deleted, "deleted")
    elif request.first("changes-since") is not None:
        # A client that polls for changes must hear of deletions.
        fields["is_deleted"] = None
    statuses = request.query.get("status")
    if statuses:
        vm_states: set[VmState] = set()
        task_states: set[str | None] | None = set()
        for name in statuses:
            states, tasks = server_view.states_of(name)
            vm_states |= set(states)
            task_states = None if tasks is None or task_states is None else task_states | set(tasks)
        if statuses[-1].upper() in ("DELETED",):
            if not admin:
                raise errors.Forbidden("Only administrators may list deleted instances")
            fields["is_deleted"] = True
        if not vm_states and request.since(STATUS_FILTER_CHECKED):
            raise errors.Invalid(f"Invalid filter status: {', '.join(statuses)}")
        fields["vm_states"] = sorted(vm_states)
        if task_states is not None:
            fields["task_states"] = list(task_states)
    is_open = admin or request.since(FILTERS_OPEN)
    if "vm_state" in request.query and is_open:
        known = set(VmState)
        fields["vm_states"] = [state for state in request.query["vm_state"] if state in known]
    if "task_state" in request.query and is_open:
        fields["task_states"] = [None if state in ("None", "") else state for state in request.query["task_state"]]


def _add_plain(request: Request, fields: dict[str, Any], admin: bool) -> None:
    name = request.first("name") or request.first("display_name")
    if name is not None:
        patterns.compile(name)
        fields["name_pattern"] = name
    for parameter, field in (("ip", "ip_v4_pattern"), ("ip6", "ip_v6_pattern")):
        if request.first(parameter) is not None and (parameter == "ip" or admin or request.since(IP6_FILTER_OPEN)):
            patterns.compile(request.first(parameter))
            fields[field] = request.first(parameter)
    everybody = {"image": "image_id", "flavor": "flavor_id", "reservation_id": "reservation_id"}
    more = {
        "image_ref": "image_id", "user_id": "user_id", "host": "host", "uuid": "uuids",
    }  # fmt: skip
    for parameter, field in {**everybody, **more}.items():
        value = request.first(parameter)
        opened = _OPENED.get(parameter)
        if value is None or not (admin or parameter in everybody or (opened is not None and request.since(opened))):
            continue
        fields[field] = (value,) if field == "uuids" else value.rsplit("/", 1)[-1] if parameter in everybody else value
    if (state := request.first("power_state")) is not None and (admin or request.since(FILTERS_OPEN)):
        if not is_number(state):
            raise errors.Invalid(f"Invalid power_state: {state}")
        fields["power_state"] = int(state)
    if (locked := request.first("locked")) is not None:
        fields["is_locked"] = is_true(locked, "locked")
    for name in ("metadata", "system_metadata"):
        if name in request.query and (name == "metadata" or admin):
            fields[name] = [_document(text, name) for text in request.query[name]]


def _add_patterns(request: Request, fields: dict[str, Any], admin: bool) -> None:
    """Raises Invalid for what is no pattern."""
    found = {}
    for parameter in _IN_TEXTS:
        text, opened = request.first(parameter), _OPENED.get(parameter)
        if text is not None and (admin or (opened is not None and request.since(opened))):
            patterns.compile(text)
            found[parameter.removeprefix("display_")] = text
    fields["patterns"] = found


def _add_properties(request: Request, fields: dict[str, Any], admin: bool) -> None:
    properties = {
        name: request.first(name)
        for name in ("access_ip_v4", "access_ip_v6", "locked_by")
        if admin and request.first(name) is not None
    }
    for name in ("access_ip_v4", "access_ip_v6"):
        if name in properties:
            # What is no address is nobody's.
            with contextlib.suppress(ValueError):
                properties[name] = canonical(properties[name])
    if (drive := request.first("config_drive")) is not None and (admin or request.since(FILTERS_OPEN)):
        properties["config_drive"] = is_true(drive, "config_drive") if drive else False
    if admin and (text := request.first("auto_disk_config")) is not None:
        properties["disk_config"] = "AUTO" if is_true(text, "auto_disk_config") else "MANUAL"
    for name in ("progress", "launch_index"):
        if (number := request.first(name)) is not None and (
            admin or (name == "progress" and request.since(FILTERS_OPEN))
        ):
            if not is_number(number):
                raise errors.Invalid(f"Invalid filter field: {name}.")
            properties[name] = int(number)
    fields["properties"] = properties


def _add_times(request: Request, fields: dict[str, Any], admin: bool) -> None:
    for parameter, field in (("changes-since", "changes_since"), ("changes-before", "changes_before")):
        value = request.moment(parameter)
        if value is not None:
            fields[field] = value
    since, before = fields.get("changes_since"), fields.get("changes_before")
    if since and before and since > before:
        raise errors.Invalid("The value of changes-since must be less than or equal to changes-before.")
    for name in ("created_at", "launched_at", "terminated_at"):
        if admin or request.since(FILTERS_OPEN):
            fields[name] = request.moment(name)


def _add_tags(request: Request, fields: dict[str, Any]) -> None:
    for parameter in ("tags", "tags-any", "not-tags", "not-tags-any"):
        value = request.first(parameter)
        if value is not None:
            fields[parameter.replace("-", "_")] = [tag for tag in value.split(",") if tag]


def _sort(request: Request, admin: bool) -> list[tuple[str, str]]:
    hidden = [name for name in request.query.get("sort_key", ()) if name in _ADMIN_SORT_KEYS]
    if hidden and not admin:
        raise errors.Forbidden(f"Only administrators can sort servers by {', '.join(hidden)}")
    keys = [_SORT_KEYS.get(name) for name in request.query.get("sort_key", ())]
    directions = [direction.lower() for direction in request.query.get("sort_dir", ())]
    if not set(directions) <= {"asc", "desc"}:
        raise errors.Invalid("Unknown sort direction, must be one of: asc, desc")
    if len(directions) > len(keys) and keys:
        raise errors.Invalid("Sort direction size exceeds sort key size")
    if not keys:
        keys, directions = ["created_at"], directions[:1] or ["desc"]
    directions += ["desc"] * (len(keys) - len(directions))
    order = [(key, direction) for key, direction in zip(keys, directions, strict=False) if key is not None]
    # The number settles what is equal otherwise, so that pages never overlap.
    if not any(key == "created_at" for key, _ in order):
        order.append(("created_at", "desc"))
    return [*order, ("id", order[-1][1])]


def is_true(text: str, name: str) -> bool:
    """A switch in a query. Raises Invalid."""
    lowered = text.strip().lower()
    if lowered in ("", "1", "true", "t", "yes", "y", "on"):
        return True
    if lowered in ("0", "false", "f", "no", "n", "off"):
        return False
    raise errors.Invalid(f"Invalid value for {name}: {text}")


def _document(text: str, name: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.MsgspecError:
        pass
    try:
        # Clients send Python's own way to write a dictionary, too.
        return msgspec.json.decode(text.replace("'", '"'), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise errors.Invalid(f"Invalid filter {name}: {text}") from error
