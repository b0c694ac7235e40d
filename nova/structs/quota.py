"""Quota: limits and use of one project. -1 is unlimited."""

import msgspec

# What a server takes from its project's quota.
COUNTED = ("instances", "cores", "ram")

RESOURCES = (
    *COUNTED,
    "metadata_items",
    "injected_files",
    "injected_file_content_bytes",
    "injected_file_path_bytes",
    "key_pairs",
    "server_groups",
    "server_group_members",
)

# Limits of former releases that are kept and shown to clients of that time: the Networking service counts its own.
NETWORK_RESOURCES = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits by resource, use by resource (for what is counted)."""

    limits: dict[str, int]
    in_use: dict[str, int] = {}
