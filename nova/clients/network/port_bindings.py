"""The bindings of a server's ports to hosts, while it moves from one to another with its guest running.

A Networking API with the extension binding-extended binds a port to a second host, inactive, and tells the network to be
ready there: the guest has its network the moment it arrives. Without the extension there is one binding, which is moved when
the guest has arrived. Every call may be made twice.
"""

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from nova import errors
from nova.clients.http import ServiceFailed
from nova.clients.network.http import NetworkingHttp, NetworkingRefused
from nova.clients.network.port_claims import with_allocation
from nova.structs.network import Vif

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

# By port, which providers give what it claims of its host, as the profile of its binding says it.
Said = Mapping[str, Json | str]

# Where the port's guest is on its way to, in the profile of the binding that has it still. Source: Networking API
# reference, "Port binding".
_MIGRATING_TO = "migrating_to"
# What a Neutron has failed at, with 500, where nobody can bind a port on a host, as when its agent is dead.
_NOT_BOUND = "PortBindingError"


class PortBindings:
    """Second bindings of ports, and single ones where there can be no second."""

    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http

    def add(self, ports: list[Json], vifs: tuple[Vif, ...], host: str, said: Said) -> tuple[Vif, ...] | None:
        """Bind ports to a second host; how they are plugged there, None where there can be no second binding.

        Raises HostRefused when a port cannot be bound there, or would be plugged in another way.
        """
        if not ports or not self._http.has("binding-extended"):
            return None
        by_id = {port["id"]: port for port in ports}
        try:
            return tuple(
                self._added(by_id[vif.port_id], vif, host, said.get(vif.port_id)) if vif.port_id in by_id else vif
                for vif in vifs
            )
        except errors.Forbidden:
            LOG.warning("ports get no second binding: the user of [neutron] needs the role 'service' there")
            return None

    def remove(self, ports: list[Json], host: str) -> None:
        """The guest does not come: take the second binding away."""
        for port in ports:
            if port.get("binding:host_id") == host or not self._is_expected(port, host):
                continue
            self._http.delete(f"ports/{port['id']}/bindings/{host}")
            self._set_profile(port, None)

    def move(self, port: Json, host: str, said: Json | str | None) -> None:
        """Bind a port to host and no other; a binding that waits there is activated."""
        is_there = port.get("binding:host_id") == host
        if is_there or not (self._is_expected(port, host) and self._activated(port, host)):
            body: Json = {} if is_there else {"binding:host_id": host}
            profile = with_allocation(_profile(port), said)
            if profile != _profile(port):
                body["binding:profile"] = profile
            if body:
                self._http.put(f"ports/{port['id']}", {"port": body})
            if not is_there:
                return
        # An earlier try may have come as far as here.
        if host and self._http.has("binding-extended"):
            self._remove_inactive(port)

    def _added(self, port: Json, vif: Vif, host: str, said: Json | str | None) -> Vif:
        if port.get("binding:host_id") == host:
            return vif
        # First, since it tells the undo what there may be.
        self._set_profile(port, host)
        bindings = [binding for binding in self._bindings(port) if binding["host"] == host]
        binding = bindings[0] if bindings else self._create(port, host, said)
        if (binding["vif_type"], _bridge(binding["vif_details"])) != (vif.vif_type, _bridge(vif.details)):
            raise errors.HostRefused(host=host, reason=f"port {port['id']} cannot be plugged there as it is now")
        details = {name: value for name, value in binding["vif_details"].items() if isinstance(value, str | int | bool)}
        return msgspec.structs.replace(vif, details=details)

    def _bindings(self, port: Json) -> list[Json]:
        return list(self._http.get(f"ports/{port['id']}/bindings", "bindings"))

    def _remove_inactive(self, port: Json) -> None:
        for binding in self._bindings(port):
            if binding["status"] == "INACTIVE":
                self._http.delete(f"ports/{port['id']}/bindings/{binding['host']}")

    def _create(self, port: Json, host: str, said: Json | str | None) -> Json:
        profile = {name: value for name, value in _profile(port).items() if name != _MIGRATING_TO}
        profile = with_allocation(profile, said)
        wanted = {"host": host, "vnic_type": port.get("binding:vnic_type", "normal"), "profile": profile}
        try:
            return self._http.post(f"ports/{port['id']}/bindings", {"binding": wanted})
        except ServiceFailed as error:
            if error.fault != _NOT_BOUND:
                raise
            raise errors.HostRefused(host=host, reason=f"port {port['id']} cannot be bound there") from error
        except NetworkingRefused as error:
            raise errors.HostRefused(host=host, reason=f"port {port['id']} is not bound there: {error}") from error

    def _activated(self, port: Json, host: str) -> bool:
        """False: there is no binding to activate."""
        with contextlib.suppress(errors.NotFound):
            self._http.activate(f"ports/{port['id']}/bindings/{host}")
            return True
        return False

    def _set_profile(self, port: Json, host: str | None) -> None:
        profile = {name: value for name, value in _profile(port).items() if name != _MIGRATING_TO}
        if host is not None:
            profile[_MIGRATING_TO] = host
        if profile != _profile(port):
            self._http.put(f"ports/{port['id']}", {"port": {"binding:profile": profile}})

    def _is_expected(self, port: Json, host: str) -> bool:
        return bool(_profile(port).get(_MIGRATING_TO) == host)


def _profile(port: Json) -> Json:
    return dict(port.get("binding:profile") or {})


def _bridge(details: Json) -> object:
    return details.get("bridge_name")
