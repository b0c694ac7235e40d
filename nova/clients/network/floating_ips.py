"""Floating IPs of projects and servers, through the Networking API."""

from collections.abc import Sequence
from typing import Any

from nova import errors
from nova.clients.http import segment
from nova.clients.network.grants import RBAC, everybodys_ids
from nova.clients.network.http import NetworkingHttp
from nova.structs.context import Context

Json = dict[str, Any]


class FloatingIpNotFound(errors.NotFound):
    text = "Floating IP {floating_ip} could not be found."


class PoolNotFound(errors.NotFound):
    text = "Floating IP pool {pool} could not be found."


class FloatingIps:
    def __init__(self, http: NetworkingHttp) -> None:
        self._http = http

    def of_project(self, project_id: str) -> list[Json]:
        return self._http.find("floatingips", {"project_id": project_id})

    def get(self, project_id: str, floating_ip_id: str) -> Json:
        """Raises FloatingIpNotFound."""
        return self._find(floating_ip_id, {"id": floating_ip_id, "project_id": project_id})

    def at(self, project_id: str, address: str) -> Json:
        """The floating IP with an address. Raises FloatingIpNotFound."""
        return self._find(address, {"floating_ip_address": address, "project_id": project_id})

    def pools(self, context: Context) -> list[str]:
        """The external networks that this user sees, by name: some are for some projects alone. The default is the first."""
        return [network["name"] for network in self._external(context)]

    def create(self, context: Context, pool: str) -> Json:
        """An address for the user's project. Raises PoolNotFound, QuotaExceeded, IpAddressGenerationFailure, Forbidden."""
        networks = [each for each in self._external(context) if pool in (each["name"], each["id"])]
        if not networks:
            raise PoolNotFound(pool=pool)
        body = {"floating_network_id": networks[0]["id"], "project_id": context.project_id}
        return self._http.post("floatingips", {"floatingip": body}, context)

    def delete(self, floating_ip_id: str) -> None:
        self._http.delete(f"floatingips/{segment(floating_ip_id)}")

    def associate(self, project_id: str, address: str, instance_uuid: str, fixed_ip: str | None = None) -> None:
        """Give a floating IP to a server: to its fixed_ip, or its first IPv4 address. Raises Invalid without one."""
        floating = self.at(project_id, address)
        for port in self._http.ports_of_server(project_id, instance_uuid):
            for each in port["fixed_ips"]:
                if ":" not in each["ip_address"] and fixed_ip in (None, each["ip_address"]):
                    body = {"port_id": port["id"], "fixed_ip_address": each["ip_address"]}
                    self._http.put(f"floatingips/{floating['id']}", {"floatingip": body})
                    return
        raise errors.Invalid(f"Server {instance_uuid} has no address that {address} could lead to.")

    def disassociate(self, project_id: str, address: str) -> None:
        """The address stays the project's. Raises what at() raises."""
        floating = self.at(project_id, address)
        self._http.put(f"floatingips/{floating['id']}", {"floatingip": {"port_id": None}})

    def of_ports(self, port_ids: Sequence[str]) -> dict[str, list[Json]]:
        """By port; nothing for an API without floating IPs."""
        if not port_ids:
            return {}
        try:
            floating_ips = self._http.find("floatingips", {"port_id": list(port_ids)})
        except errors.NotFound:
            return {}
        by_port: dict[str, list[Json]] = {}
        for floating in floating_ips:
            by_port.setdefault(floating["port_id"], []).append(floating)
        return by_port

    def _external(self, context: Context) -> list[Json]:
        """Everybody's and the project's own come first: any project may make a network another's pool, by any name."""
        networks = self._http.find("networks", {"router:external": "True"}, context)
        if not self._http.has(RBAC):
            return networks
        everybodys = set(everybodys_ids(self._http, "network", "access_as_external"))
        return sorted(
            networks, key=lambda one: one["id"] not in everybodys and one.get("project_id") != context.project_id
        )

    def _find(self, name: str, query: Json) -> Json:
        for floating in self._http.find("floatingips", query):
            return floating
        raise FloatingIpNotFound(floating_ip=name)
