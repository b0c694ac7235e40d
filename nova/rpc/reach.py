"""Whether a daemon on the other side of the bus answers: the check of those that need it."""

import oslo_messaging

from nova.readiness import LOOK_S, Check
from nova.rpc.bus import BUS, FAILURES, BusFailure
from nova.rpc.client import reason_of, tell_of_bus
from nova.rpc.declaration import PING, VERSION


def check(bus: oslo_messaging.Transport, topic: str) -> Check:
    """Somebody answers on this topic. The daemon is called as its topic is."""
    service = f"nova-{topic}"
    target = oslo_messaging.Target(topic=topic, version=VERSION)
    # An answer that is late is no help: the next look asks anew.
    sender = oslo_messaging.get_rpc_client(
        bus, target, timeout=LOOK_S, retry=0, transport_options=oslo_messaging.TransportOptions(at_least_once=True)
    )

    def look() -> None:
        try:
            sender.call({}, "handle", name=PING, arguments="{}")
        except FAILURES as error:
            tell_of_bus(error)
            raise BusFailure(service=service, reason=reason_of(error)) from error

    return Check(topic, service, look, behind=BUS)
