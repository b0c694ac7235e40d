"""Microversions: which there are, what a request asks for, and the names of those that change behaviour.

Source: API guide, "Microversions".
"""

import re

from nova import errors

MINIMUM, MAXIMUM = 1, 104

# Versions after which an operation behaves differently in more than its fields and codes.
REMOTE_CONSOLES_ONLY = 6
PUBLIC_FLAVORS_ARE_ALL_S = 7
STATUS_FILTER_CHECKED = 38
IMAGE_METADATA_IS_GLANCE_S = 39
MULTIATTACH = 60
FILTERS_OPEN = 83
HOSTNAME_FILTER_OPEN = 90
ACTIONS_OF_DELETED = 21
ALL_CONSOLE_TOKENS = 31
NETWORKS_REQUIRED = 37
HOST_BEFORE_FORCE = 30
VOLUMES_ON_SHELVED = 20
PROXIES_GONE = 36
IMAGE_ID_IN_BODY = 45
USAGE_PAGED = 40
FLAVOR_EMBEDDED = 47
DIAGNOSTICS_DEFINED = 48
SERVICES_BY_UUID = 53
HOST_CHECKED = 56
FLAVOR_IN_LIST = 55
LEGACY_FILTERS_STRICT = 75
RESCUE_OF_VOLUMES = 87
VOLUMES_REIMAGED = 93
EVACUATED_STAY_OFF = 95
ATTACHED_LATER = 101
SERVERS_ALWAYS_SHOWN = 75
WHOLE_SERVER_AFTER_CHANGE = 75
EXTRA_SPECS_CHECKED = 86
MIGRATIONS_PAGED = 59
HYPERVISORS_SLIM = 88

_HEADER = re.compile(r"^([1-9]\d*)\.([1-9]\d*|0)$")


def text(version: int) -> str:
    return f"2.{version}"


def requested(openstack_header: str | None, legacy_header: str | None) -> int:
    """The version a request asks for, from OpenStack-API-Version or X-OpenStack-Nova-API-Version.

    Raises Invalid for a malformed header, NotAcceptable for a version there is not.
    Source: API guide, "Microversions".
    """
    asked = _compute_version(openstack_header) or legacy_header
    if asked is None:
        return MINIMUM
    asked = asked.strip()
    if asked == "latest":
        return MAXIMUM
    match = _HEADER.match(asked)
    if match is None:
        raise errors.Invalid(f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum.")
    major, minor = map(int, match.groups())
    if major != 2 or not MINIMUM <= minor <= MAXIMUM:
        raise errors.NotAcceptable(version=asked, minimum=text(MINIMUM), maximum=text(MAXIMUM))
    return minor


def _compute_version(header: str | None) -> str | None:
    """The compute entry of a header such as "volume 3.27, compute 2.90"."""
    for entry in (header or "").split(","):
        service, _, version = entry.strip().partition(" ")
        if service.lower() == "compute" and version:
            return version
    return None
