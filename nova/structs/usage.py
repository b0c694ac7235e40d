"""What a server used of the cloud, for billing."""

import datetime

import msgspec


class ServerUsage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server's size and life. Disk counts root and ephemeral, in GiB."""

    uuid: str
    name: str
    project_id: str
    flavor: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    vm_state: str
    launched_at: datetime.datetime
    terminated_at: datetime.datetime | None = None
