"""What the driver of a server's host can do, asked where the API promises 501 for what it cannot."""

from nova import errors
from nova.conductor.engine.operation import Acceptance
from nova.db import hosts

# A host of an older release has it not.
DISK_CHECKS = "DiskChecks"


def need(acceptance: Acceptance, ability: str, action: str) -> None:
    """Raises NotImplementedHere. ability: the name of one of the driver's optional Protocols."""
    host = acceptance.instance.host
    if host is not None and not hosts.offers(acceptance.connection, host, ability):
        raise errors.NotImplementedHere(action=action)
