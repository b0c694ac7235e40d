"""How one process of a daemon is: what its health page tells, from before anything is reached until its end."""

import time

from oslo_config import cfg

from nova import readiness
from nova.daemon.component import Component
from nova.http import health
from nova.http.service import HealthService

# The main loop turns twice a second; one that has not for so long never will.
_STILL_S = 30.0


class Pulse:
    """worker: the number of this process among its siblings; each has its page one port further than the one before."""

    def __init__(self, conf: cfg.ConfigOpts, name: str, worker: int) -> None:
        self._conf = conf
        self._name = name
        self._beat_at: float | None = None
        self.is_up = False
        self.readiness = readiness.Readiness()
        self.readiness.hold("start", f"{name} is starting")
        self._page: HealthService | None = None
        if conf.health_port:
            page = health.page(self.readiness, self.is_alive)
            self._page = HealthService(page, conf.health_listen, conf.health_port + worker)

    def start(self) -> None:
        """Answer from now on."""
        if self._page is not None:
            self._page.start()

    def watch(self, services: list[Component]) -> None:
        """Look at what the services need, if there is a page to tell it."""
        if self._page is None:
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
        if self._page is not None:
            self._page.stop()

    def beat(self) -> None:
        """The main loop has turned."""
        self._beat_at = time.monotonic()

    def is_alive(self) -> bool:
        """A process that starts or stops is: how long that takes is for others to limit."""
        return self._beat_at is None or time.monotonic() - self._beat_at < _STILL_S
