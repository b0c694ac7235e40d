"""A server group: servers that are to be on one host, or on different ones."""

import datetime

import msgspec


class ServerGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """members are servers' uuids. rules: max_server_per_host, for anti-affinity."""

    uuid: str
    name: str
    policy: str
    project_id: str
    user_id: str
    created_at: datetime.datetime
    rules: dict[str, int] = {}
    members: tuple[str, ...] = ()
