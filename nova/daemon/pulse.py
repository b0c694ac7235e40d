"""How one process of a daemon is: what its health page tells, from before anything is reached until its end."""

import time
from collections.abc import Callable

from oslo_config import cfg

from nova import readiness
from nova.daemon.component import Component
from nova.http import health
from nova.http.service import HealthService

# The main loop turns twice a second; one that has not for so long never will.
_STILL_S = 30.0


class Pulse:
    """outlet makes the component by which others learn how this process is; None where nobody can ask."""

    def __init__(self, conf: cfg.ConfigOpts, name: str, outlet: "Outlet | None") -> None:
        self._conf = conf
        self._name = name
        self._beat_at: float | None = None
        self.is_up = False
        self.readiness = readiness.Readiness()
        self.readiness.hold("start", f"{name} is starting")
        self._outlet = outlet(self) if outlet else None

    def start(self) -> None:
        """Answer from now on."""
        if self._outlet is not None:
            self._outlet.start()

    def watch(self, services: list[Component]) -> None:
        """Look at what the services need, if there is somebody to tell it."""
        if self._outlet is None:
            return
        checks = [check for service in services for check in getattr(service, "checks", tuple)()]
        self.readiness.watch([*checks, readiness.disk(self._conf.state_path, self._conf.health_free_disk_mb)])

    def up(self) -> None:
        """The services have started."""
        self.is_up = True
        self.readiness.release("start")
        self.beat()

    def down(self) -> None:
        """The services are about to stop."""
        self.readiness.hold("stop", f"{self._name} is stopping")
        # No loop beats any more.
        self._beat_at = None

    def stop(self) -> None:
        self.readiness.stop()
        if self._outlet is not None:
            self._outlet.stop()

    def beat(self) -> None:
        """The main loop has turned."""
        self._beat_at = time.monotonic()

    def is_alive(self) -> bool:
        """A process that starts or stops is: how long that takes is for others to limit."""
        return self._beat_at is None or time.monotonic() - self._beat_at < _STILL_S


Outlet = Callable[[Pulse], Component]


def own_page(conf: cfg.ConfigOpts) -> Outlet | None:
    """The page of a daemon that is one process."""
    if not conf.health_port:
        return None

    def outlet(pulse: Pulse) -> Component:
        page = health.page(pulse.readiness.state, pulse.is_alive)
        return HealthService(page, conf.health_listen, conf.health_port)

    return outlet
