"""What the API asks the conductor to do or to list, after validation."""

import datetime

import msgspec

from nova.structs.ec2 import ClientToken
from nova.structs.image import Image
from nova.structs.instance import BlockDevice, VmState
from nova.structs.network import NetworkRequest


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request for servers. networks None: whatever the project has, "none" is an empty tuple.

    image: as the Image service showed it to the caller. When booting from a volume it is None,
    or the image that maps the server's disks to snapshots. may_have_no_disk: the root disk may be as large
    as the image happens to be, beyond what the flavor counts.
    """

    name: str
    flavor_id: str
    image: Image | None = None
    min_count: int = 1
    max_count: int = 1
    hostname: str | None = None
    description: str | None = None
    key_name: str | None = None
    metadata: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    availability_zone: str | None = None
    host: str | None = None
    node: str | None = None
    networks: tuple[NetworkRequest, ...] | None = None
    security_groups: tuple[str, ...] = ()
    block_devices: tuple[BlockDevice, ...] = ()
    config_drive: bool = False
    user_data: str | None = None
    personality: dict[str, str] = {}
    # The administrator's, for the guests.
    password: str | None = None
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    disk_config: str = "MANUAL"
    scheduler_hints: dict[str, object] = {}
    trusted_certs: tuple[str, ...] | None = None
    may_have_no_disk: bool = True
    # Ports with a minimum of bandwidth may be named: clients from 2.72 on know what that means.
    may_claim_for_ports: bool = True
    client_token: ClientToken | None = None

    @property
    def boots_from_volume(self) -> bool:
        """Whether the root disk is a volume: one with boot_index 0."""
        return any(device.boot_index == 0 and device.destination == "volume" for device in self.block_devices)


class ExternalEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that another service reports about a server: name and tag as in os-server-external-events."""

    name: str
    server_id: str
    status: str = "completed"
    tag: str | None = None


class ServerQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which servers, in which order. project_id None: all projects. Times are UTC."""

    project_id: str | None = None
    user_id: str | None = None
    uuids: tuple[str, ...] | None = None
    name_pattern: str | None = None
    vm_states: tuple[VmState, ...] | None = None
    task_states: tuple[str | None, ...] | None = None
    power_state: int | None = None
    host: str | None = None
    flavor_id: str | None = None
    image_id: str | None = None
    reservation_id: str | None = None
    is_locked: bool | None = None
    # None: both; True: only deleted ones.
    is_deleted: bool | None = False
    changes_since: datetime.datetime | None = None
    changes_before: datetime.datetime | None = None
    created_at: datetime.datetime | None = None
    launched_at: datetime.datetime | None = None
    terminated_at: datetime.datetime | None = None
    ip_v4_pattern: str | None = None
    ip_v6_pattern: str | None = None
    # Patterns by what they are found in; nova.db.server_filters knows the names.
    patterns: dict[str, str] = {}
    # Compared as a whole, as the API of an earlier release asks.
    availability_zone: str | None = None
    hostname: str | None = None
    key_name: str | None = None
    node: str | None = None
    metadata: tuple[dict[str, str], ...] = ()
    system_metadata: tuple[dict[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    tags_any: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    not_tags_any: tuple[str, ...] = ()
    # Further exact matches on fields of Properties.
    properties: dict[str, str | int | bool | None] = {}
    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("id", "desc"))
    limit: int | None = None
    marker: str | None = None
    with_user_data: bool = False
    with_host_status: bool = False


class ServerUpdate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Changes of a server's record; what is UNSET stays."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    hostname: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    access_ip_v4: str | msgspec.UnsetType | None = msgspec.UNSET
    access_ip_v6: str | msgspec.UnsetType | None = msgspec.UNSET
    disk_config: str | msgspec.UnsetType = msgspec.UNSET
    # The zone the server is pinned to; None unpins it.
    requested_zone: str | msgspec.UnsetType | None = msgspec.UNSET
