"""Whether anything can be done on the hosts of this daemon: what its heartbeats tell operators."""

import logging
from collections.abc import Callable, Collection, Mapping

from nova import errors
from nova.compute.host import Host
from nova.compute.step_pool import StepPool
from nova.virt.driver import SelfCheck

LOG = logging.getLogger(__name__)


class Health:
    """troubles: why nothing can be done on a host, as of the last look at it; hosts that are well are not in it."""

    def __init__(self, hosts: Mapping[str, Host], pool: StepPool) -> None:
        self._hosts = hosts
        self._pool = pool
        self._told_slow: set[str] = set()
        self.troubles: dict[str, str] = {}

    def look_at_hosts(self, names: Collection[str]) -> bool:
        """Whether a host has come into trouble, or out of it, since the last look."""
        before = self.troubles.keys()
        self.troubles = {name: trouble for name in names if (trouble := self._trouble_of(name)) is not None}
        for name in self.troubles.keys() - before:
            LOG.warning("nothing can be done on host %s: %s", name, self.troubles[name])
        for name in before - self.troubles.keys():
            LOG.info("steps can be done on host %s again", name)
        return before != self.troubles.keys()

    def look_at_steps(self, verb_of: Callable[[str], str]) -> None:
        """Say which steps last long, and let others be done beside them. verb_of: what is done to a server."""
        self._pool.look()
        slow = self._pool.slow()
        for name in slow.keys() - self._told_slow:
            LOG.warning("server %s has been waiting for '%s' on this host for %.0f s", name, verb_of(name), slow[name])
        self._told_slow = set(slow)

    def check(self) -> None:
        """Raises Unavailable while nothing can be done on one of the hosts."""
        for name in self._hosts:
            self._check(name)

    def _check(self, name: str) -> None:
        driver = self._hosts[name].driver
        if self._pool.is_stuck:
            reason = f"{len(self._pool.slow())} steps do not end, and others wait for them"
            raise errors.Unavailable(service="nova-compute", reason=reason)
        if isinstance(driver, SelfCheck):
            driver.check()

    def _trouble_of(self, name: str) -> str | None:
        try:
            self._check(name)
        except errors.Unavailable as error:
            return error.message
        return None
