"""Whether servers can have the networks a request names, asked before the request is accepted."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nova import errors
from nova.clients.http import segment
from nova.clients.network import view
from nova.clients.network.http import NetworkingHttp
from nova.clients.network.networks import Networks
from nova.clients.network.security_groups import SecurityGroups
from nova.structs.context import Context
from nova.structs.network import NetworkRequest

Json = dict[str, Any]

# Rules of a QoS policy that take something of a host.
_CLAIMING_RULES = frozenset(("minimum_bandwidth", "minimum_packet_rate"))
NETWORK_CLAIMS = (
    "The QoS policy of the network asks for a minimum of bandwidth or packets: ports that ask for it must be made "
    "before, and named in the request."
)
PORT_CLAIMS = "Port {port_id} asks for a minimum of bandwidth or packets, which this request cannot give it."


class RequestChecks:
    def __init__(self, http: NetworkingHttp, networks: Networks, security_groups: SecurityGroups) -> None:
        self._http = http
        self._networks = networks
        self._security_groups = security_groups

    def check(
        self,
        context: Context,
        requests: Sequence[NetworkRequest] | None,
        count: int = 1,
        security_groups: Sequence[str] = (),
        project_id: str | None = None,
        at_least: int | None = None,
        may_claim: bool = True,
    ) -> int:
        """How many of count servers can have these networks. None: whatever the project has.

        project_id: of the servers, when it is not that of who asks. at_least: with how many the request is content, all
        of them when unset. may_claim: whether ports may take bandwidth of their host.

        Raises Invalid for networks, ports, addresses or groups that cannot be used, PortInUse,
        MultipleNetworks, Forbidden for an external network and for an address that is not the asker's to choose,
        QuotaExceeded for more ports than the project may have.
        """
        project_id = project_id or context.project_id
        if requests is None:
            if len(self._networks.usable(project_id)) > 1:
                raise errors.MultipleNetworks()
        else:
            if any(request.is_auto for request in requests):
                self._networks.check_auto(project_id)
            network_ids = [each.network_id for each in requests if each.network_id and not each.port_id]
            networks = self._check_networks(context, project_id, network_ids)
            self._check_policies(networks[network_id] for network_id in network_ids)
            if not context.is_admin:
                _check_choices(project_id, requests, networks)
            for request in requests:
                self._check_request(project_id, request, count, may_claim)
            port_ids = [request.port_id for request in requests if request.port_id]
            if len(set(port_ids)) != len(port_ids):
                raise errors.Invalid("A port is named twice.")
        for group in security_groups:
            try:
                self._security_groups.id_of(project_id, group)
            except errors.NotFound as error:
                raise errors.Invalid(str(error)) from None
        return self._fitting(project_id, self._new_ports(project_id, requests), count, at_least or count)

    def _new_ports(self, project_id: str, requests: Sequence[NetworkRequest] | None) -> int:
        """How many ports are made for each server."""
        if requests is None:
            requests = self._networks.default_request(project_id)
        return sum(1 for request in requests if not request.port_id)

    def _fitting(self, project_id: str, each: int, count: int, at_least: int) -> int:
        """For how many of count servers the project may have each more ports. Raises QuotaExceeded below at_least."""
        # Without this extension, the Networking service refuses the ports when they are made.
        if not each or not self._http.has("quota_details"):
            return count
        path = f"quotas/{segment(project_id)}/details.json"
        ports = self._http.get(path, "quota", {"fields": "port"})["port"]
        limit, used = int(ports["limit"]), int(ports["used"]) + int(ports.get("reserved", 0))
        if limit < 0:
            return count
        fitting = min(count, max(0, limit - used) // each)
        if fitting < at_least:
            raise errors.QuotaExceeded(resources="ports", requested=at_least * each, used=used, limits=limit)
        return fitting

    def _check_networks(self, context: Context, project_id: str, network_ids: Sequence[str]) -> dict[str, Json]:
        """The networks, and maybe others, by id. Raises Invalid, Forbidden."""
        usable = {network["id"]: network for network in self._networks.usable(project_id)}
        missing = [network_id for network_id in network_ids if network_id not in usable]
        if missing:
            usable |= self._usable_beyond_cache(context, project_id, missing)
        for network_id in network_ids:
            if network_id not in usable:
                raise errors.Invalid(f"Network {network_id} could not be found.")
            if not usable[network_id].get("subnets"):
                self._networks.forget_usable()
                raise errors.Invalid(f"Network {network_id} requires a subnet in order to boot instances on.")
        return usable

    def _usable_beyond_cache(self, context: Context, project_id: str, network_ids: Sequence[str]) -> dict[str, Json]:
        """Networks that are new, or shared with this project alone, or any where an administrator asks.

        Raises Forbidden.
        """
        usable = {network["id"]: network for network in self._networks.of_project(project_id, network_ids)}
        missing = [network_id for network_id in network_ids if network_id not in usable]
        for network in self._http.find("networks", {"id": missing}) if missing else ():
            if context.is_admin:
                usable[network["id"]] = network
            elif network.get("router:external"):
                raise errors.Forbidden(f"It is not allowed to create an interface on external network {network['id']}")
        return usable

    def _check_policies(self, networks: Iterable[Json]) -> None:
        """Nothing is claimed for ports that are made when the server has its host. Raises Invalid."""
        policies = {network["qos_policy_id"] for network in networks if network.get("qos_policy_id")}
        for policy in self._http.get("qos/policies", "policies", {"id": sorted(policies)}) if policies else ():
            if any(rule["type"] in _CLAIMING_RULES for rule in policy["rules"]):
                raise errors.Invalid(NETWORK_CLAIMS)

    def _check_request(self, project_id: str, request: NetworkRequest, count: int, may_claim: bool) -> None:
        if request.port_id:
            if count > 1:
                raise errors.Invalid("A port can be used by one server only: it cannot be named for several.")
            self._check_port(project_id, request.port_id, may_claim)
        elif request.fixed_ip:
            if count > 1:
                raise errors.Invalid("A fixed address can be used by one server only.")
            self._check_address(str(request.network_id), request.fixed_ip)

    def _check_port(self, project_id: str, port_id: str, may_claim: bool) -> None:
        """A server has ports of its own project alone, whoever asks."""
        port = next(iter(self._http.find("ports", {"id": port_id, "project_id": project_id})), None)
        if port is None:
            raise errors.Invalid(f"Port id {port_id} could not be found.")
        if port["device_id"] or view.is_somebody_elses(port):
            raise errors.PortInUse(port_id=port_id)
        if not port["fixed_ips"]:
            raise errors.Invalid(f"Port {port_id} requires a FixedIP in order to be used.")
        if not may_claim and port.get("resource_request"):
            raise errors.Invalid(PORT_CLAIMS.format(port_id=port_id))

    def _check_address(self, network_id: str, fixed_ip: str) -> None:
        address = ipaddress.ip_address(fixed_ip)
        subnets = self._http.find("subnets", {"network_id": network_id})
        ranges = [ipaddress.ip_network(subnet["cidr"]) for subnet in subnets]
        if not any(address in range_ and not _is_own(range_, address) for range_ in ranges):
            raise errors.Invalid(f"Fixed IP {address} is not a valid ip address for network {network_id}.")
        if any(address == ipaddress.ip_address(subnet["gateway_ip"]) for subnet in subnets if subnet["gateway_ip"]):
            # All that other guests send beyond the subnet would come to this server.
            raise errors.Invalid(f"Fixed IP address {address} is the gateway of a subnet of network {network_id}.")
        if self._http.find("ports", {"network_id": network_id, "fixed_ips": f"ip_address={address}"}):
            raise errors.Invalid(f"Fixed IP address {address} is already in use.")


def _is_own(
    range_: ipaddress.IPv4Network | ipaddress.IPv6Network, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> bool:
    """Whether an address is the range itself or its broadcast address: those are no host's. Source: RFC 3021, RFC 6164.

    In IPv6 the range itself is its routers' (RFC 4291), and nothing is broadcast.
    """
    if range_.num_addresses <= 2:
        return False
    return address == range_.network_address or (range_.version == 4 and address == range_.broadcast_address)


def _check_choices(project_id: str, requests: Sequence[NetworkRequest], networks: Mapping[str, Json]) -> None:
    """On a network of others, no project chooses addresses. Raises Forbidden.

    The Networking API has this rule, too, but not for the Compute service, which makes the ports.
    """
    for request in requests:
        network_id = request.network_id
        if request.port_id or not request.fixed_ip or not network_id:
            continue
        if networks[network_id]["project_id"] != project_id:
            raise errors.Forbidden(
                f"It is not allowed to choose an address on network {network_id} of another project."
            )
