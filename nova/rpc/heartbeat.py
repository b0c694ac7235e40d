"""A daemon's sign of life, by which operators see it among the services.

nova-compute has more to tell, and does so itself (nova.compute.agent).
"""

from nova import concurrency
from nova.rpc.conductor import ConductorCalls
from nova.structs.host import SignOfLife


class Heartbeat:
    """Tells every conductor, as long as it runs, that a daemon of this host lives. A Service of the daemon."""

    def __init__(self, conductor: ConductorCalls, binary: str, host: str, interval_s: float) -> None:
        self._conductor = conductor
        self._sign = SignOfLife(binary=binary, hosts=(host,))
        self._interval_s = interval_s
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        self._periodic = concurrency.Periodic(self._interval_s, self._beat, "sign of life", at_once=True)

    def stop(self) -> None:
        if self._periodic:
            self._periodic.stop()

    def _beat(self) -> None:
        self._conductor.alive(self._sign)
