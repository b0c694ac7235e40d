"""Microversions: which there are, what a request asks for, and the names of those that change behaviour.

Source: API guide, "Microversions".
"""

import re

from nova import errors

MINIMUM, MAXIMUM = 1, 104

# The versions that change behaviour: handlers compare the request with these names, in the order of their numbers.
ALL_SERVER_ATTRIBUTES = 3  # A server shows the attributes that EC2 had: user_data, hostname, kernel and others.
IP6_FILTER_OPEN = 5  # Everybody may list servers by ip6, not only administrators.
PUBLIC_FLAVOR_ACCESS_REFUSED = 7  # Access to a public flavor can no longer be given.
EVACUATE_WITHOUT_PASSWORD = 14  # Evacuating answers without adminPass.
HOST_STATUS = 16  # A server shows the status of its host.
VOLUMES_ON_SHELVED = 20  # Volumes are attached to and detached from shelved servers, too.
ACTIONS_OF_DELETED = 21  # The actions of a deleted server can be read.
CPU_INFO_IS_OBJECT = 28  # cpu_info of a hypervisor is an object, no longer a text.
EVACUATE_HOST_CHECKED = 29  # The scheduler checks the host an evacuation names, unless it is forced.
LIVE_MIGRATE_HOST_CHECKED = 30  # The same for live migrations.
ALL_CONSOLE_TOKENS = 31  # Tokens of all console types can be read.
HYPERVISORS_PAGED = 33  # limit and marker for hypervisors.
KEYPAIRS_PAGED = 35  # limit and marker for key pairs.
STATUS_FILTER_CHECKED = 38  # An unknown status in the filter of servers is an error.
IMAGE_METADATA_QUOTA_GONE = 39  # The quota of server metadata no longer holds for snapshots.
USAGE_PAGED = 40  # limit and marker for the usage of projects.
IMAGE_ID_IN_BODY = 45  # Creating an image answers with its id in the body, not in Location.
DIAGNOSTICS_DEFINED = 48  # Diagnostics have the same fields for every hypervisor.
SERVICES_BY_UUID = 53  # Services and hypervisors are known by UUID, no longer by number.
KEY_NAME_AFTER_REBUILD = 54  # The answer to a rebuild shows the key pair.
MIGRATE_TO_HOST = 56  # A cold migration may name its host.
ACTIONS_PAGED = 58  # limit and marker for the actions of a server.
MIGRATIONS_PAGED = 59  # limit and marker for migrations.
MULTIATTACH = 60  # Volumes that several servers share can be attached.
QUEUED_MIGRATION_ABORTED = 65  # A live migration that has not begun can be aborted.
DEVICE_AFTER_ATTACH = 70  # The answer to an attachment always names the device.
PORTS_CLAIM = 72  # A server may have ports that take bandwidth of their host.
LOCKED_REASON = 73  # A lock may say why.
SERVERS_ALWAYS_SHOWN = 75  # A hypervisor without servers shows an empty list of them.
WHOLE_SERVER_AFTER_CHANGE = 75  # The answer to an update or rebuild is the whole server.
UNSHELVE_TO_ZONE = 77  # Unshelving may name an availability zone.
FILTERS_OPEN = 83  # Everybody may use most filters of servers.
ATTACHMENT_UPDATED = 85  # delete_on_termination of an attached volume can be changed.
EXTRA_SPECS_CHECKED = 86  # Extra specs of flavors are validated.
RESCUE_OF_VOLUMES = 87  # Servers that boot from a volume can be rescued.
HYPERVISORS_SLIM = 88  # A hypervisor no longer shows its capacity and use.
HOSTNAME_FILTER_OPEN = 90  # Everybody may list servers by hostname.
VOLUMES_REIMAGED = 93  # Servers that boot from a volume can be rebuilt with another image.
EVACUATED_STAY_OFF = 95  # An evacuated server stays stopped on its new host.
ATTACHED_LATER = 101  # Attaching a volume answers 202 without a body, before the volume is attached.

_HEADER = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)")


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
    match = _HEADER.fullmatch(asked)
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
