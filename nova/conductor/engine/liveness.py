"""Which daemons live, as this conductor hears it.

Every sign of life reaches every conductor; the database learns only of changes. After its own start
a conductor gives everybody the benefit of the doubt for service_down_time.
"""

import time
from datetime import datetime, timedelta

from nova.clock import utcnow
from nova.structs.host import SignOfLife


class Liveness:
    """When each daemon was last heard of."""

    def __init__(self, down_after_s: float) -> None:
        self._down_after_s = down_after_s
        self._began = time.monotonic()
        self._heard: dict[tuple[str, str], float] = {}
        self._forced_down: set[str] = set()
        # What each nova-compute that was heard said of trouble; empty: none.
        self.troubles: dict[str, str] = {}

    def hear(self, sign: SignOfLife) -> None:
        """By this conductor's clock, when the sign arrives."""
        now = time.monotonic()
        self._heard.update({(host, sign.binary): now for host in sign.hosts})

    def is_up(self, host: str, binary: str = "nova-compute") -> bool:
        """A daemon that was never heard of is up for service_down_time after this conductor's start."""
        if binary == "nova-compute" and host in self._forced_down:
            return False
        return time.monotonic() - self._heard.get((host, binary), self._began) < self._down_after_s

    def force_down(self, hosts: set[str]) -> set[str]:
        """Hosts an operator declared dead; gives those that were not yet."""
        new, self._forced_down = hosts - self._forced_down, hosts
        return new

    def last_heard(self, host: str, binary: str) -> datetime | None:
        """None for a daemon that was not heard of since this conductor's start."""
        heard = self._heard.get((host, binary))
        return None if heard is None else utcnow() - timedelta(seconds=time.monotonic() - heard)

    def forget(self, host: str, binary: str) -> None:
        self._heard.pop((host, binary), None)
        self.troubles.pop(host, None)
