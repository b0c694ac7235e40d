"""Hosts: daemons, hypervisor nodes, and the scheduler's view of them."""

import datetime

import msgspec

from nova.structs.guest import Inventory, NodeState


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A daemon on a host. last_seen_at: its last heartbeat that a conductor received."""

    id: int
    uuid: str
    host: str
    binary: str
    created_at: datetime.datetime
    is_up: bool = True
    is_disabled: bool = False
    disabled_reason: str | None = None
    is_forced_down: bool = False
    version: int = 1
    zone: str = "internal"
    updated_at: datetime.datetime | None = None
    last_seen_at: datetime.datetime | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hypervisor. uuid is its resource provider's in Placement."""

    id: int
    uuid: str
    host: str
    hypervisor_hostname: str
    state: NodeState


class NodeReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node as its nova-compute sees it, with what it offers to Placement."""

    state: NodeState
    inventory: dict[str, Inventory] = {}


class HostReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a nova-compute reports of one of its hosts, when it starts and periodically."""

    host: str
    nodes: tuple[NodeReport, ...]
    # The daemon's own name, when it stands for several hosts.
    listener: str = ""
    version: int = 1
    # What the machine says it is: the uuid of its only node. None: it does not know yet.
    compute_id: str | None = None


class SignOfLife(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A heartbeat. hosts: all the hosts of the daemon (the fake driver has many). troubles: why, on some of them,
    nothing can be done for guests now."""

    binary: str
    hosts: tuple[str, ...]
    version: int = 1
    troubles: dict[str, str] = {}


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named set of hosts; metadata availability_zone makes it a zone."""

    id: int
    uuid: str
    name: str
    created_at: datetime.datetime
    hosts: tuple[str, ...] = ()
    metadata: dict[str, str] = {}
    updated_at: datetime.datetime | None = None


class HostState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node in the scheduler's view."""

    host: str
    node: str
    provider_uuid: str
    zone: str
    is_up: bool = True
    is_disabled: bool = False
    disabled_reason: str | None = None
    state: NodeState
    aggregates: tuple[Aggregate, ...] = ()


class ServerName(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server as lists of hypervisors show it."""

    uuid: str
    name: str


class NodeUse(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the servers of one node use, and how many of them an operation is changing."""

    vcpus: int = 0
    memory_mb: int = 0
    disk_gb: int = 0
    servers_count: int = 0
    busy: int = 0
    servers: tuple[ServerName, ...] = ()


class HostLoad(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The load of a host: its servers, and those of them being built, rebuilt, resized, migrated,
    snapshotted, rescued or unshelved. recent: those of its servers that came or changed in the last minutes."""

    instances: int = 0
    io_ops: int = 0
    recent: tuple[str, ...] = ()


class HostView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The nodes that changed after a version (all of them for version 0), the version now, and the
    uuids of all nodes there are, so that one that went away is noticed."""

    version: int
    changed: tuple[HostState, ...]
    all_nodes: tuple[str, ...]


class Cell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message bus with its hosts and conductors, as nova-manage cell_v2 records it."""

    uuid: str
    name: str
    transport_url: str
    database_connection: str
    is_disabled: bool = False
