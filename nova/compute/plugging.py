"""Waits until the Networking service says that a guest's ports are plugged: then its first packets are not lost.

The service tells the cloud with the event network-vif-plugged, and is asked from time to time in case that is lost.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence

from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.network.http import NetworkingHttp
from nova.compute import step_pool
from nova.structs.network import Vif

LOG = logging.getLogger(__name__)

# How long news are waited for before the service is asked.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0


class Plugging:
    """What one nova-compute knows of ports that are being plugged."""

    def __init__(self, adapter: Adapter, timeout_s: float, is_fatal: bool) -> None:
        self._http = NetworkingHttp(adapter)
        self._timeout_s, self._is_fatal = timeout_s, is_fatal
        self._waiting: dict[str, threading.Event] = {}

    def is_waited_for(self, vifs: Iterable[Vif]) -> bool:
        """Whether a guest with these ports has to wait for them when it is started."""
        return self._timeout_s > 0 and any(vif.vif_type == "ovs" or not vif.is_active for vif in vifs)

    def told(self, instance_id: str) -> None:
        """Something was said of a server's ports."""
        news = self._waiting.get(instance_id)
        if news is not None:
            news.set()

    def wait(self, instance_id: str, vifs: Sequence[Vif]) -> bool:
        """Whether all of these ports of a server are plugged, once they are or time is up.

        Other steps have this step's place meanwhile: ports of a project's making may never come up.

        Raises PortsNotPlugged where a guest whose ports are not is to be given up.
        """
        news = self._waiting.setdefault(instance_id, threading.Event())
        try:
            with step_pool.place_given_back():
                missing = self._wait([vif.port_id for vif in vifs], news)
        finally:
            self._waiting.pop(instance_id, None)
        if missing:
            LOG.warning("ports %s are not plugged after %s s", ", ".join(missing), self._timeout_s)
            if self._is_fatal:
                raise errors.PortsNotPlugged()
        return not missing

    def _wait(self, port_ids: list[str], news: threading.Event) -> list[str]:
        """The ports that are not plugged when time is up."""
        deadline = time.monotonic() + self._timeout_s
        pause_s = _FIRST_PAUSE_S
        while missing := self._missing(port_ids):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            if news.wait(min(pause_s, left_s)):
                news.clear()
            else:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return missing

    def _missing(self, port_ids: list[str]) -> list[str]:
        """A port that its owner has switched off is never plugged. All are missing as long as nobody answers."""
        # By their ids: anybody may name a server as the device of other ports.
        try:
            ports = self._http.find("ports", {"id": port_ids})
        except errors.DomainError as error:
            LOG.warning("nobody tells whether ports %s are plugged: %s", ", ".join(port_ids), error)
            return port_ids
        return [port["id"] for port in ports if port["admin_state_up"] and port["status"] != "ACTIVE"]
