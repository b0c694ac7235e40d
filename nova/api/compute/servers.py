"""Servers: /servers. Source: Compute API reference, "Servers"."""

import secrets
import string as characters
from typing import Any

import msgspec

from nova import errors
from nova.api.compute import block_devices, server_view
from nova.api.compute.addresses import access_addresses
from nova.api.compute.app import Reply
from nova.api.compute.personality import personality
from nova.api.compute.request import Request
from nova.api.compute.server_filters import FILTERS, query_of
from nova.api.compute.versions import PORTS_CLAIM, WHOLE_SERVER_AFTER_CHANGE
from nova.http.declaration import SERVER, delete, get, post, put
from nova.http.schema import (
    ANY,
    BASE64,
    BOOLISH,
    DESCRIPTION,
    HOSTNAME,
    IP,
    LINK,
    METADATA,
    NAME,
    NULL,
    STRING,
    TAG,
    UUID,
    Plain,
    arr,
    body,
    enum,
    integer,
    nullable,
    obj,
    one_of,
    optional,
    query,
    required,
    string,
    versioned,
)
from nova.http.view import Answer, Page, listing, single
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, Instance, VmState
from nova.structs.network import NetworkRequest
from nova.structs.requests import BuildRequest, ServerUpdate

_DISK_CONFIG = enum("AUTO", "MANUAL")
_IPV4, _IPV6 = string(format="ipv4"), string(format="ipv6")
# Servers named in a hint.
_MOST_HINTED = 1000
_ONE_OR_MORE = one_of(UUID, arr(UUID, maxItems=_MOST_HINTED))

HINTS = obj(
    optional("group", one_of(arr(UUID), UUID)),
    optional("different_host", _ONE_OR_MORE),
    optional(
        "same_host",
        Plain({"type": ["string", "array"], "items": {"type": "string", "format": "uuid"}, "maxItems": _MOST_HINTED}),
    ),
    optional("query", Plain({"type": ["string", "object"]})),
    optional("target_cell", NAME),
    optional("different_cell", Plain({"type": ["string", "array"], "items": {"type": "string"}})),
    optional("build_near_host_ip", IP),
    optional("cidr", string(pattern="^/[0-9a-f.:]+$")),
    is_open=True,
)

_NETWORK = obj(
    optional("fixed_ip", IP),
    optional("port", nullable(UUID)),
    optional("uuid", STRING, until="2.36"),
    optional("uuid", UUID, since="2.37"),
    optional("tag", TAG, since="2.32", until="2.36"),
    optional("tag", TAG, since="2.42"),
)

_MOST_NUMBER = 2**31 - 1
# Of one request: they are accepted in one transaction.
_MOST_SERVERS = 1000
# More than any server can have: lists that cost memory and questions to other services.
_MOST_DEVICES, _MOST_NETWORKS, _MOST_GROUPS, _MOST_FILES = 64, 128, 128, 128

_DEVICE_NAME = string(minLength=1, maxLength=255, pattern="^[a-zA-Z0-9._/-]*$")
_DEVICE = (
    optional("virtual_name", string(maxLength=255)),
    optional("volume_id", UUID),
    optional("snapshot_id", UUID),
    optional("volume_size", integer(1)),
    optional("device_name", _DEVICE_NAME),
    optional("delete_on_termination", BOOLISH),
    optional("no_device", ANY),
    optional("connection_info", string(maxLength=16777215)),
)
_DEVICE_V2 = obj(
    *_DEVICE,
    optional("source_type", enum("volume", "image", "snapshot", "blank")),
    optional("uuid", string(minLength=1, maxLength=255, pattern="^[a-zA-Z0-9._-]*$")),
    optional("image_id", UUID),
    optional("destination_type", enum("local", "volume")),
    optional("guest_format", string(maxLength=255)),
    optional("device_type", string(maxLength=255)),
    optional("disk_bus", string(maxLength=255)),
    optional("boot_index", nullable(integer(-_MOST_NUMBER, _MOST_NUMBER))),
    optional("tag", TAG, since="2.32", until="2.32"),
    optional("tag", TAG, since="2.42"),
    optional("volume_type", Plain({"type": ["string", "null"], "minLength": 0, "maxLength": 255}), since="2.67"),
)

CREATE = body(
    "server",
    required("name", NAME),
    required("flavorRef", Plain({"type": ["string", "integer"], "minLength": 1}, str)),
    optional("imageRef", one_of(UUID, string(maxLength=0))),
    optional("adminPass", STRING),
    optional("metadata", METADATA, default={}),
    optional("networks", arr(_NETWORK, maxItems=_MOST_NETWORKS), until="2.36"),
    required("networks", one_of(arr(_NETWORK, maxItems=_MOST_NETWORKS), enum("none", "auto")), since="2.37"),
    optional("OS-DCF:diskConfig", _DISK_CONFIG, default="MANUAL"),
    optional("accessIPv4", _IPV4),
    optional("accessIPv6", _IPV6),
    optional(
        "personality",
        arr(obj(optional("path", STRING), optional("contents", BASE64)), maxItems=_MOST_FILES),
        until="2.56",
    ),
    optional("availability_zone", NAME),
    optional("block_device_mapping", arr(obj(*_DEVICE), maxItems=_MOST_DEVICES)),
    optional("block_device_mapping_v2", arr(_DEVICE_V2, maxItems=_MOST_DEVICES)),
    optional("config_drive", BOOLISH, default=False),
    optional("key_name", NAME),
    optional("min_count", integer(1, _MOST_SERVERS)),
    optional("max_count", integer(1, _MOST_SERVERS)),
    optional("return_reservation_id", BOOLISH),
    optional("security_groups", arr(obj(optional("name", NAME)), maxItems=_MOST_GROUPS)),
    optional("user_data", string(format="base64", maxLength=65535)),
    optional("description", DESCRIPTION, since="2.19"),
    optional("tags", arr(TAG, maxItems=50), since="2.52", default=[]),
    optional(
        "trusted_image_certificates",
        arr(string(minLength=1), is_nullable=True, minItems=1, maxItems=50, uniqueItems=True),
        since="2.63",
    ),
    optional("host", HOSTNAME, since="2.74"),
    optional("hypervisor_hostname", HOSTNAME, since="2.74"),
    optional(
        "hostname",
        versioned(string(minLength=2, maxLength=63, pattern="^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$"), v2_94=HOSTNAME),
        since="2.90",
    ),
    siblings=(optional("os:scheduler_hints", HINTS), optional("OS-SCH-HNT:scheduler_hints", HINTS)),
)

UPDATE = body(
    "server",
    optional("name", NAME),
    optional("OS-DCF:diskConfig", _DISK_CONFIG),
    optional("accessIPv4", _IPV4),
    optional("accessIPv6", _IPV6),
    optional("description", DESCRIPTION, since="2.19"),
    optional(
        "hostname",
        versioned(string(minLength=2, maxLength=63, pattern="^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$"), v2_94=HOSTNAME),
        since="2.90",
    ),
    optional("pinned_availability_zone", one_of(string(minLength=1, maxLength=255), NULL), since="2.104"),
)


def _created(result: tuple[Instance, str | None] | str, request: Request) -> dict[str, Any]:
    """The answer to a request for servers: the first of them, or the reservation they share."""
    if isinstance(result, str):
        return {"reservation_id": result}
    instance, password = result
    groups = instance.properties.security_groups or ("default",)
    server: dict[str, Any] = {
        "id": instance.uuid,
        "links": request.links(f"/servers/{instance.uuid}"),
        "OS-DCF:diskConfig": instance.properties.disk_config,
        "security_groups": [{"name": name} for name in groups],
    }
    if password is not None:
        server["adminPass"] = password
    return {"server": server}


_CREATED = Answer(
    _created,
    one_of(
        obj(required("reservation_id", STRING)),
        obj(
            required(
                "server",
                obj(
                    required("id", UUID),
                    required("links", arr(LINK)),
                    required("OS-DCF:diskConfig", STRING),
                    required("security_groups", arr(obj(required("name", STRING)))),
                    optional("adminPass", STRING),
                ),
            )
        ),
    ),
)


@get(
    "/servers",
    policy="os_compute_api:servers:index",
    query=FILTERS,
    answer=listing("servers", server_view.BASIC, links_since="2.1"),
    errors=(400,),
)
def index(request: Request) -> Page:
    """Servers by id and name, filtered, sorted and paged."""
    return _page(request, {})


@get(
    "/servers/detail",
    policy="os_compute_api:servers:detail",
    query=FILTERS,
    answer=listing("servers", server_view.LISTED, links_since="2.1"),
    errors=(400,),
)
def detail(request: Request) -> Page:
    """Servers with every field this version and the caller's rights show."""
    return _page(request, server_view.details(request))


@get(
    "/servers/{server_id}",
    policy="os_compute_api:servers:show",
    target=SERVER,
    details=server_view.details,
    query=query(strict_since="2.102"),
    answer=single("server", server_view.DETAIL),
    errors=(404,),
)
def show(request: Request) -> Instance:
    """One server. Another project's server is 404."""
    return request.server


@post(
    "/servers", policy="os_compute_api:servers:create", body=CREATE, answer=_CREATED, status=202, errors=(400, 403, 409)
)
def create(request: Request) -> Reply:
    """Create one server or more.

    It is accepted when this answers and built afterwards: its status becomes ACTIVE, or ERROR with a fault that
    says why.
    Raises Invalid, ImageNotFound and FlavorNotFound as 400, QuotaExceeded.
    """
    fields = request.body["server"]
    build = build_request(request, fields)
    try:
        made_servers = request.conductor.create_servers(request.context, build)
    except errors.FlavorNotFound as error:
        raise error.turned_into(errors.Invalid) from error
    first = made_servers[0]
    if fields.get("return_reservation_id"):
        return Reply(first.reservation_id)
    shown = build.password if request.conf.api.enable_instance_password else None
    return Reply((first, shown), {"Location": request.link(f"/servers/{first.uuid}")})


@put(
    "/servers/{server_id}",
    policy="os_compute_api:servers:update",
    target=SERVER,
    body=UPDATE,
    answer=single("server", server_view.UPDATED),
    errors=(400, 404, 409),
)
def update(request: Request) -> Instance:
    """Change name, description, addresses and other fields of the record. The guest is not touched."""
    fields = request.body["server"]
    names = {
        "name": "name",
        "hostname": "hostname",
        "description": "description",
        "OS-DCF:diskConfig": "disk_config",
        "pinned_availability_zone": "requested_zone",
    }
    changes = {field: fields[key] for key, field in names.items() if key in fields} | access_addresses(fields)
    update = msgspec.convert(changes, ServerUpdate)
    updated = request.conductor.update_server(request.context, request.server.uuid, update)
    if not request.since(WHOLE_SERVER_AFTER_CHANGE):
        return updated
    return request.conductor.server(
        request.context, updated.uuid, project_id=updated.project_id, **server_view.details(request)
    )


CERTIFICATES_ARE_FOR_IMAGES = (
    "Image certificate validation is not supported for servers that boot from a volume: it checks images."
)
# A signature that nobody checks is worth less than none.
CERTIFICATES_ARE_NOT_CHECKED = "Image certificate validation is not supported by this release."

# Deleted servers that were in one of these states can be restored for a while, where the operator wants that.
_KEPT = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED)


@delete("/servers/{server_id}", policy="os_compute_api:servers:delete", target=SERVER, errors=(404, 409))
def remove(request: Request) -> None:
    """Delete a server, or soft-delete it where [DEFAULT] reclaim_instance_interval keeps servers for a while."""
    is_soft = request.conf.reclaim_instance_interval > 0 and request.server.vm_state in _KEPT
    request.conductor.operate(request.context, request.server.uuid, "softDelete" if is_soft else "delete", {})


def _page(request: Request, details: dict[str, bool]) -> Page:
    server_query, limit = query_of(request)
    # One more than requested shows whether there is a next page.
    server_query = msgspec.structs.replace(server_query, limit=limit + 1, **details)
    servers = request.conductor.servers(request.context, server_query)
    if len(servers) <= limit:
        # A page that is full may still be the last: upstream links on only while pages are full.
        return Page(servers, servers[-1].uuid if servers and len(servers) == limit and request.first("limit") else None)
    return Page(servers[:limit], servers[limit - 1].uuid if limit else None)


def build_request(request: Request, fields: dict[str, Any]) -> BuildRequest:
    """The request with its image and volumes looked up. Raises Invalid, PolicyDenied, QuotaExceeded."""
    low, high = _count(fields)
    zone, host, node = _where(request, fields)
    image = _image(request, fields)
    devices = block_devices.read(request, fields, image, high)
    check_metadata(request, fields["metadata"])
    _check_rules(request, fields, devices)
    if fields.get("trusted_image_certificates"):
        is_of_image = image is not None and not any(device.boot_index == 0 for device in devices)
        raise errors.Invalid(CERTIFICATES_ARE_NOT_CHECKED if is_of_image else CERTIFICATES_ARE_FOR_IMAGES)
    access = access_addresses(fields)
    return BuildRequest(
        name=fields["name"],
        flavor_id=fields["flavorRef"].rsplit("/", 1)[-1],
        image=image,
        min_count=low,
        max_count=high,
        hostname=fields.get("hostname"),
        description=fields.get("description"),
        key_name=fields.get("key_name"),
        metadata=fields["metadata"],
        tags=tuple(fields.get("tags", ())),
        availability_zone=zone,
        host=host,
        node=node,
        networks=_networks(request, fields),
        security_groups=tuple(
            dict.fromkeys(group["name"] for group in fields.get("security_groups", ()) if "name" in group)
        ),
        block_devices=devices,
        config_drive=fields["config_drive"],
        user_data=fields.get("user_data"),
        personality=personality(request, fields, request.context.project_id),
        password=fields.get("adminPass") or make_password(request.conf.password_length),
        access_ip_v4=access.get("access_ip_v4"),
        access_ip_v6=access.get("access_ip_v6"),
        disk_config=fields["OS-DCF:diskConfig"],
        scheduler_hints=_hints(request.body),
        may_claim_for_ports=request.since(PORTS_CLAIM),
        may_have_no_disk=request.allows("os_compute_api:servers:create:zero_disk_flavor"),
    )


def _count(fields: dict[str, Any]) -> tuple[int, int]:
    """The least and the most servers that are requested. Raises Invalid."""
    low = fields.get("min_count", 1)
    high = fields.get("max_count", max(low, 1))
    if low > high:
        raise errors.Invalid("min_count must be <= max_count")
    if high > 1 and fields.get("hostname") is not None:
        raise errors.Invalid("A host name is given to one server: it cannot be requested for several.")
    return low, high


def _check_rules(request: Request, fields: dict[str, Any], devices: tuple[BlockDevice, ...]) -> None:
    """Check the rule of each part that the request has. Raises PolicyDenied."""
    requested = {
        "trusted_certs": bool(fields.get("trusted_image_certificates")),
        "attach_volume": bool(devices),
        "attach_network": isinstance(fields.get("networks"), list),
    }
    for rule in (rule for rule, is_requested in requested.items() if is_requested):
        request.check(f"os_compute_api:servers:create:{rule}")


def _hints(body: dict[str, Any]) -> dict[str, Any]:
    return body.get("os:scheduler_hints") or body.get("OS-SCH-HNT:scheduler_hints") or {}


def _where(request: Request, fields: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Zone, host and node; "zone:host:node" is the administrators' old way to say them all."""
    zone, host, node = fields.get("availability_zone"), fields.get("host"), fields.get("hypervisor_hostname")
    if host or node:
        request.check("compute:servers:create:requested_destination")
    if zone and ":" in zone:
        if host or node:
            raise errors.Invalid(
                "A host is named either with the availability zone or by host and hypervisor_hostname."
            )
        zone, _, place = zone.partition(":")
        host, _, node = place.partition(":")
        request.check("os_compute_api:servers:create:forced_host")
    return zone or None, host or None, node or None


def _image(request: Request, fields: dict[str, Any]) -> Image | None:
    image_id = fields.get("imageRef")
    if not image_id:
        if not fields.get("block_device_mapping") and not fields.get("block_device_mapping_v2"):
            raise errors.Invalid("Invalid imageRef provided.")
        return None
    try:
        image: Image = request.services.images.get(image_id, request.context)
    except errors.ImageNotFound as error:
        raise errors.Invalid(f"Can not find requested image {image_id}") from error
    return image


def _networks(request: Request, fields: dict[str, Any]) -> tuple[NetworkRequest, ...] | None:
    """None is what the project has, an empty tuple no network at all."""
    networks = fields.get("networks")
    if networks in (None, []):
        return None
    if networks == "auto":
        return (NetworkRequest(is_auto=True),)
    if networks == "none":
        return ()
    network_requests = []
    for entry in networks:
        port, network = entry.get("port"), entry.get("uuid")
        if port is None and network is None:
            raise errors.Invalid("Bad network format: missing 'uuid'")
        if port is not None and entry.get("fixed_ip"):
            raise errors.Invalid(f"Specified Fixed IP '{entry['fixed_ip']}' cannot be used with port '{port}'")
        if network is not None and port is None and not _is_uuid(network):
            raise errors.Invalid(f"Bad networks format: network uuid is not in proper format ({network})")
        network_requests.append(
            NetworkRequest(
                network_id=None if port else network, port_id=port, fixed_ip=entry.get("fixed_ip"), tag=entry.get("tag")
            )
        )
    return tuple(network_requests)


def _is_uuid(value: str) -> bool:
    return len(value) == 36 and value.count("-") == 4


def check_metadata(request: Request, metadata: dict[str, str]) -> None:
    """Raises QuotaExceeded for more metadata items than the project may have."""
    limit = request.conductor.quota(request.context.project_id).limits["metadata_items"] if metadata else -1
    if 0 <= limit < len(metadata):
        raise errors.QuotaExceeded(f"Maximum number of metadata items exceeds {limit}")


def make_password(length: int) -> str:
    """A password without letters that look alike, with one of each kind."""
    kinds = [
        "".join(c for c in kind if c not in "0O1Il")
        for kind in (characters.digits, characters.ascii_uppercase, characters.ascii_lowercase)
    ]
    chosen = [secrets.choice(kind) for kind in kinds[:length]]
    chosen += [secrets.choice("".join(kinds)) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return "".join(chosen)
