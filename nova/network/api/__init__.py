"""nova-network: the Networking API for a cloud without Neutron, and the networks behind it.

The API writes records through the conductor; a dataplane makes this host look like them.
"""

from nova.network.api.api import application
from nova.network.api.resource import Dataplane


class NullDataplane:
    """Networks that are records and nothing else: for a cloud in one process, without root."""

    def changed(self) -> None:
        pass


__all__ = ["Dataplane", "NullDataplane", "application"]
