"""How every other daemon reaches the conductor.

Two transports with one interface: over the bus, or a conductor in this very process.
"""

from typing import cast

import oslo_messaging

from nova.conductor.interface import ConductorCalls
from nova.messaging import rpc

TOPIC = "conductor"


def over_bus(bus: oslo_messaging.Transport, timeout_s: float | None = None) -> ConductorCalls:
    """The conductors that listen on the bus; each call goes to one of them."""
    return cast(ConductorCalls, rpc.client(bus, TOPIC, ConductorCalls, timeout_s=timeout_s))
