"""What nova-network asks of the conductor, which keeps its records, and the refusals that are the conductor's own.

Their names and statuses are those of the Networking API: clients tell refusals apart by them.
"""

from nova import errors
from nova.structs.networking import AnyRecord, Carriers, DhcpLease, Port, SecurityGroup
from nova.structs.networking import Quota as NetworkQuota


class FlatNetworkInUse(errors.Conflict):
    text = "Unable to create the flat network. Physical network {physical_network} is in use."
    text_for_users = "Unable to create the flat network. The physical network is in use."


class TunnelIdInUse(errors.Conflict):
    text = "Unable to create the network. The tunnel ID {tunnel_id} is in use."


class NoNetworkAvailable(errors.DomainError):
    status = 503
    text = "Unable to create the network. No tenant network is available for allocation."


class GatewayIpInUse(errors.Conflict):
    text = "Current gateway ip {ip_address} already in use by port {port_id}. Unable to update."


class BadRequest(errors.Invalid):
    text = "Bad {resource} request: {reason}."


class FloatingIPPortAlreadyAssociated(errors.Conflict):
    text = (
        "Cannot associate floating IP {floating_ip_address} ({floating_ip_id}) with port {port_id} using fixed IP "
        "{fixed_ip_address}, as that fixed IP already has a floating IP on external network {network_id}."
    )


class ExternalGatewayForFloatingIPNotFound(errors.NotFound):
    text = (
        "External network {external_network_id} is not reachable from subnet {subnet_id}. Therefore, cannot associate "
        "Port {port_id} with a Floating IP."
    )


class RouterExternalGatewayInUseByFloatingIp(errors.Conflict):
    text = (
        "Gateway cannot be updated for router {router_id}, since a gateway to external network {net_id} is required by "
        "one or more floating IPs."
    )


class RouterInterfaceInUseByFloatingIP(errors.Conflict):
    text = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more floating IPs."
    )


class RouterInterfaceInUseByRoute(errors.Conflict):
    text = (
        "Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or "
        "more routes."
    )


class InvalidRoutes(errors.Invalid):
    text = "Invalid format for routes: {routes}, {reason}"


class ExternalNetworkInUse(errors.Conflict):
    text = "External network {net_id} cannot be updated to be made non-external, since it has existing gateway ports."


class DhcpLeaseCalls:
    """Leases of DHCP servers that keep them here ([DEFAULT] dhcpbridge)."""

    def dhcp_leases(self) -> list[DhcpLease]:
        """All that are recorded, those that have ended or whose port has gone included."""

    def adopt_dhcp_leases(self, network_id: str) -> list[DhcpLease]:
        """Those that a network's server may go on with: not ended, and of a port; the others are forgotten."""

    def keep_dhcp_lease(self, lease: DhcpLease) -> bool:
        """Record a lease in the place of the address's last one; False when no port has the address and the MAC."""

    def drop_dhcp_lease(self, lease: DhcpLease) -> None:
        """Forget the lease of this client on this address; another client's stays."""


class NetworkingCalls(DhcpLeaseCalls):
    """What nova-network keeps: one set of calls for every noun of nova.structs.networking."""

    def networking(self, noun: str, where: dict[str, list[str | bool]]) -> list[AnyRecord]:
        """Records, oldest first. where: column to values of which one must match; see nova.db.networks.find."""

    def networking_of(self, questions: list[tuple[str, dict[str, list[str | bool]]]]) -> list[list[AnyRecord]]:
        """The answers of networking() to several questions, each (noun, where), in one call."""

    def add_networking(
        self, records: list[AnyRecord], limits: dict[str, int], carriers: Carriers | None = None
    ) -> list[AnyRecord]:
        """Add all or none. A record whose id exists already is given back as it is.

        What records leave open is chosen here: MAC and addresses of ports, type and segment of networks (from
        carriers), the address of a floating IP. A subnet gets the port its DHCP server needs. limits: by noun, of
        a project without its own; a noun without limit is not counted. Raises OverQuota, Invalid (also for a
        subnet that overlaps another), IpAddressInUse, IpAddressGenerationFailure, MacAddressInUse,
        FlatNetworkInUse, TunnelIdInUse, NoNetworkAvailable, FloatingIPPortAlreadyAssociated, NetworkingExists,
        NetworkingNotFound for what a record refers to.
        """

    def change_networking(self, record: AnyRecord) -> AnyRecord:
        """Put record in the place of the one with its id and revision_number.

        An unchanged record is completed with what it lacks: a subnet's DHCP port, a router's address outside. Raises
        GenerationConflict when that has changed since, GatewayIpInUse, RouterExternalGatewayInUseByFloatingIp,
        ExternalNetworkInUse, InvalidRoutes, and what add_networking raises.
        """

    def delete_networking(self, noun: str, record_id: str) -> None:
        """Delete a record and what belongs to it alone.

        Raises NetworkingNotFound, NetworkingInUse, RouterInterfaceInUseByFloatingIP, RouterInterfaceInUseByRoute.
        """

    def default_security_group(self, project_id: str, trusts_members: bool) -> SecurityGroup:
        """The project's default group, added when it is first needed, then with a rule for its members or not."""

    def add_router_interface(self, router_id: str, port_id: str | None = None, subnet_id: str | None = None) -> Port:
        """Give a router a port that is free, or a new one with the subnet's gateway address.

        Raises NetworkingNotFound, PortInUse, IpAddressInUse, Invalid for a subnet without gateway, BadRequest for
        a subnet on which the router has a port already, or that overlaps one of the router's.
        """

    def used_addresses(self) -> dict[str, int]:
        """How many addresses each subnet has given away."""

    def network_quotas(self, project_id: str | None = None) -> list[NetworkQuota]:
        """Limits of a project, or of all projects, where they differ from the configured ones."""

    def set_network_quota(self, project_id: str, limits: dict[str, int] | None) -> None:
        """Set limits by noun; None removes them all."""
