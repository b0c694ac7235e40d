"""The networks of servers, through the Networking API: a Neutron or our own nova-network, all the same.

Requests are made with the service's own credentials, so a project is always named. Every call may
be made twice: ports are found again by the server that has them. Where the API lets an
administrator choose a port's id (nova-network), making a port again is one request and no question.
"""

import ipaddress
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import segment
from nova.clients.network import view
from nova.clients.network.floating_ips import FloatingIps
from nova.clients.network.http import NetworkingHttp, NetworkingRefused, TtlCache
from nova.clients.network.security_groups import SecurityGroups
from nova.structs.context import Context
from nova.structs.network import NetworkRequest, Vif

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

# What a project may use changes when somebody makes a network and boots on it at once.
_USABLE_TTL_S = 3
_FACTS_TTL_S = 30


class Networking:
    """What the cloud asks of networks."""

    def __init__(self, adapter: Adapter) -> None:
        self._http = NetworkingHttp(adapter)
        self._usable = TtlCache(_USABLE_TTL_S)
        self._networks = TtlCache(_FACTS_TTL_S)
        self._subnets = TtlCache(_FACTS_TTL_S)
        self._extensions = TtlCache(600)
        self.security_groups = SecurityGroups(self._http)
        self.floating_ips = FloatingIps(self._http)

    # Before a server is accepted

    def networks_for(self, context: Context) -> list[Json]:
        """The networks a project's servers may be on: its own, and shared ones."""
        return self._networks_of(context.project_id)

    def network_names(self, network_ids: Sequence[str]) -> dict[str, str]:
        """The names of some networks, by id."""
        return {one: facts["name"] for one, facts in self._facts("networks", self._networks, network_ids).items()}

    def validate(
        self,
        context: Context,
        requests: Sequence[NetworkRequest] | None,
        count: int = 1,
        security_groups: Sequence[str] = (),
    ) -> None:
        """Whether count servers can have these networks. None: whatever the project has.

        Raises Invalid for networks, ports, addresses or groups that cannot be used, PortInUse,
        MultipleNetworks, Forbidden for an external network.
        """
        if requests is None:
            if len(self._networks_of(context.project_id)) > 1:
                raise errors.MultipleNetworks()
        else:
            self._check_networks(context, [one.network_id for one in requests if one.network_id and not one.port_id])
            for request in requests:
                self._check_request(context, request, count)
            named = [request.port_id for request in requests if request.port_id]
            if len(set(named)) != len(named):
                raise errors.Invalid("A port is named twice.")
        for group in security_groups:
            try:
                self.security_groups.id_of(context.project_id, group)
            except errors.NotFound as error:
                raise errors.Invalid(str(error)) from None

    # While servers are built, moved and deleted

    def allocate(
        self,
        project_id: str,
        instance_uuid: str,
        host: str | None,
        zone: str | None,
        hostname: str,
        requests: Sequence[NetworkRequest] | None,
        security_groups: Sequence[str] = (),
        port_ids: Sequence[str] = (),
    ) -> tuple[Vif, ...]:
        """Give a server its ports, bound to host. port_ids: for each request, the id of the port to make.

        Raises PortInUse, PortNotFound, MultipleNetworks, Invalid, IpAddressGenerationFailure,
        IpAddressInUse, QuotaExceeded. Ports made before a failure remain: release() finds them.
        """
        if requests is None:
            requests = self._default_request(project_id)
        if not requests:
            return ()
        binding = {
            "device_id": instance_uuid,
            "device_owner": f"compute:{zone or 'nova'}",
            "binding:host_id": host or "",
        }
        if self._has("dns-integration"):
            binding["dns_name"] = hostname
        wanted = self._wanted_ports(project_id, requests, security_groups, port_ids, binding)
        made = iter(self._make_ports([port for port in wanted if port is not None], binding))
        ports = [
            self._adopt(project_id, request.port_id, binding) if request.port_id else next(made) for request in requests
        ]
        return self._vifs(ports, [(request.tag, bool(request.port_id)) for request in requests], project_id)

    def bind(self, instance_uuid: str, host: str) -> None:
        """Move a server's ports to host."""
        for port in self._ports_of(instance_uuid):
            if port.get("binding:host_id") != host:
                self._http.put(f"ports/{port['id']}", {"port": {"binding:host_id": host}})

    def unbind(self, instance_uuid: str) -> None:
        """A server without a host keeps its ports and their addresses."""
        self.bind(instance_uuid, "")

    def release(self, instance_uuid: str, keep: Collection[str] = ()) -> None:
        """Take a server's ports away: delete them, but for those to keep, which are free again."""
        for port in self._ports_of(instance_uuid):
            self._release(port, port["id"] in keep)

    def view(self, instance_uuid: str, known: Sequence[Vif] = ()) -> tuple[Vif, ...]:
        """A server's ports as they are now. known: what its record says, for what only the record knows."""
        order = {vif.port_id: index for index, vif in enumerate(known)}
        before = {vif.port_id: vif for vif in known}
        ports = sorted(self._ports_of(instance_uuid), key=lambda port: order.get(port["id"], len(order)))
        marks = [
            (before[port["id"]].tag, before[port["id"]].is_preexisting) if port["id"] in before else (None, False)
            for port in ports
        ]
        return self._vifs(ports, marks, None)

    # Interfaces of a running server

    def attach(
        self,
        project_id: str,
        instance_uuid: str,
        host: str | None,
        zone: str | None,
        hostname: str,
        request: NetworkRequest | None,
        port_id: str,
        security_groups: Sequence[str] = (),
    ) -> Vif:
        """One more port for a server; None: on the project's one network. Raises what allocate() raises."""
        requests = None if request is None else (request,)
        vifs = self.allocate(project_id, instance_uuid, host, zone, hostname, requests, security_groups, (port_id,))
        if not vifs:
            raise errors.Invalid("The project has no network to attach to.")
        return vifs[0]

    def detach(self, instance_uuid: str, port_id: str, keep: bool = False) -> None:
        """Take one port away; one that is not the server's is done."""
        port = self._find_port(port_id)
        if port is not None and port["device_id"] == instance_uuid:
            self._release(port, keep)

    def add_fixed_ip(self, instance_uuid: str, network_id: str, known: Collection[str]) -> None:
        """One more address of a network for a server's port on it; one beyond known is there already.

        Raises Invalid when the server has no port on the network.
        """
        for port in self._ports_of(instance_uuid):
            if port["network_id"] != network_id or not port["fixed_ips"]:
                continue
            if any(one["ip_address"] not in known for one in port["fixed_ips"]):
                return
            more = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
            self._http.put(f"ports/{port['id']}", {"port": {"fixed_ips": [*port["fixed_ips"], more]}})
            return
        raise errors.Invalid(f"Server {instance_uuid} has no port on network {network_id}.")

    def remove_fixed_ip(self, instance_uuid: str, address: str) -> None:
        """Take an address away; one the server does not have is done."""
        for port in self._ports_of(instance_uuid):
            rest = [one for one in port["fixed_ips"] if one["ip_address"] != address]
            if len(rest) < len(port["fixed_ips"]):
                self._http.put(f"ports/{port['id']}", {"port": {"fixed_ips": rest}})

    def port(self, port_id: str) -> Json:
        """Raises PortNotFound."""
        port = self._find_port(port_id)
        if port is None:
            raise errors.PortNotFound(port_id=port_id)
        return port

    # Metadata

    def device_at(self, address: str, network_id: str | None = None) -> tuple[str, str] | None:
        """(server, project) of the port with this address; None when no server has it, or several have.

        Networks of their own may use one address twice: who of them asks cannot be known then.
        """
        query = {"fixed_ips": f"ip_address={address}", "fields": ["device_id", "device_owner", "project_id"]}
        if network_id:
            query["network_id"] = network_id
        servers = {
            (port["device_id"], port["project_id"])
            for port in self._http.find("ports", query)
            if port["device_owner"].startswith("compute:") and port["device_id"]
        }
        if len(servers) > 1:
            LOG.warning("%s servers have the address %s; none of them gets metadata by it", len(servers), address)
        return servers.pop() if len(servers) == 1 else None

    # Within

    def _networks_of(self, project_id: str) -> list[Json]:
        def load() -> list[Json]:
            own = self._http.find("networks", {"project_id": project_id, "shared": "False"})
            shared = self._http.find("networks", {"shared": "True"})
            return [network for network in own + shared if network.get("admin_state_up", True)]

        return self._usable.get(project_id, load)

    def _default_request(self, project_id: str) -> Sequence[NetworkRequest]:
        networks = [network for network in self._networks_of(project_id) if network.get("subnets")]
        if len(networks) > 1:
            raise errors.MultipleNetworks()
        return [NetworkRequest(network_id=network["id"]) for network in networks]

    def _check_networks(self, context: Context, network_ids: Sequence[str]) -> None:
        usable = {network["id"]: network for network in self._networks_of(context.project_id)}
        missing = [network_id for network_id in network_ids if network_id not in usable]
        if missing:
            # Just made perhaps, or an administrator boots on somebody's network.
            for network in self._http.find("networks", {"id": missing}):
                mine = network["project_id"] == context.project_id or network["shared"]
                if context.is_admin or mine:
                    usable[network["id"]] = network
                elif network.get("router:external"):
                    raise errors.Forbidden(
                        f"It is not allowed to create an interface on external network {network['id']}"
                    )
        for network_id in network_ids:
            if network_id not in usable:
                raise errors.Invalid(f"Network {network_id} could not be found.")
            if not usable[network_id].get("subnets"):
                self._usable.forget()
                raise errors.Invalid(f"Network {network_id} requires a subnet in order to boot instances on.")

    def _check_request(self, context: Context, request: NetworkRequest, count: int) -> None:
        if request.port_id:
            if count > 1:
                raise errors.Invalid("A port can be used by one server only: it cannot be named for several.")
            port = self._find_port(request.port_id)
            if port is None or (port["project_id"] != context.project_id and not context.is_admin):
                raise errors.Invalid(f"Port id {request.port_id} could not be found.")
            if port["device_id"]:
                raise errors.PortInUse(port_id=request.port_id)
            if not port["fixed_ips"]:
                raise errors.Invalid(f"Port {request.port_id} requires a FixedIP in order to be used.")
        elif request.fixed_ip:
            if count > 1:
                raise errors.Invalid("A fixed address can be used by one server only.")
            self._check_address(request)

    def _check_address(self, request: NetworkRequest) -> None:
        address = ipaddress.ip_address(str(request.fixed_ip))
        subnets = self._http.find("subnets", {"network_id": str(request.network_id)})
        if not any(address in ipaddress.ip_network(subnet["cidr"]) for subnet in subnets):
            raise errors.Invalid(f"Fixed IP {address} is not a valid ip address for network {request.network_id}.")
        query = {"network_id": str(request.network_id), "fixed_ips": f"ip_address={address}"}
        if self._http.find("ports", query):
            raise errors.Invalid(f"Fixed IP address {address} is already in use.")

    def _wanted_ports(
        self,
        project_id: str,
        requests: Sequence[NetworkRequest],
        security_groups: Sequence[str],
        port_ids: Sequence[str],
        binding: Json,
    ) -> list[Json | None]:
        """For each request the port to make, None where it brings its own."""
        groups = [self.security_groups.id_of(project_id, name) for name in security_groups]
        chooses_id = self._has("nova-network")
        wanted: list[Json | None] = []
        for index, request in enumerate(requests):
            if request.port_id:
                wanted.append(None)
                continue
            port = {"network_id": request.network_id, "project_id": project_id, "admin_state_up": True, **binding}
            if chooses_id and index < len(port_ids):
                port["id"] = port_ids[index]
            if request.fixed_ip:
                port["fixed_ips"] = [{"ip_address": request.fixed_ip}]
            if groups:
                port["security_groups"] = groups
            wanted.append(port)
        return wanted

    def _make_ports(self, wanted: list[Json], binding: Json) -> list[Json]:
        if not wanted:
            return []
        if all("id" in port for port in wanted):
            return [self._moved(port, binding) for port in self._post_ports(wanted)]
        # An earlier attempt may have made them: whatever the server has on a network is what was asked for.
        existing = self._ports_of(binding["device_id"])
        found: list[Json | None] = []
        for port in wanted:
            match = next((one for one in existing if one["network_id"] == port["network_id"]), None)
            if match:
                existing.remove(match)
            found.append(match)
        made = iter(self._post_ports([port for port, held in zip(wanted, found, strict=True) if held is None]))
        return [next(made) if held is None else self._moved(held, binding) for held in found]

    def _post_ports(self, wanted: list[Json]) -> list[Json]:
        if not wanted:
            return []
        if len(wanted) == 1:
            return [self._http.post("ports", {"port": wanted[0]})]
        return self._http.post("ports", {"ports": wanted})

    def _moved(self, port: Json, binding: Json) -> Json:
        if port.get("binding:host_id") == binding["binding:host_id"]:
            return port
        body = {"port": {"binding:host_id": binding["binding:host_id"]}}
        return self._http.put(f"ports/{port['id']}", body)

    def _adopt(self, project_id: str, port_id: str, binding: Json) -> Json:
        port = self.port(port_id)
        if port["device_id"] not in ("", binding["device_id"]):
            raise errors.PortInUse(port_id=port_id)
        try:
            return self._http.put(f"ports/{segment(port_id)}", {"port": binding})
        except NetworkingRefused:
            raise errors.PortInUse(port_id=port_id) from None
        except errors.NotFound:
            raise errors.PortNotFound(port_id=port_id) from None

    def _release(self, port: Json, keep: bool) -> None:
        if not keep:
            self._http.delete(f"ports/{port['id']}")
            return
        free = {"device_id": "", "device_owner": "", "binding:host_id": ""}
        if port.get("dns_name"):
            free["dns_name"] = ""
        try:
            self._http.put(f"ports/{port['id']}", {"port": free})
        except errors.NotFound:
            LOG.info("port %s went before it could be unbound", port["id"])

    def _ports_of(self, instance_uuid: str) -> list[Json]:
        """A server's ports. Anybody may write a server's id on a port; its owner says who did."""
        ports = self._http.find("ports", {"device_id": instance_uuid})
        return [port for port in ports if port["device_owner"].startswith("compute:")]

    def _find_port(self, port_id: str) -> Json | None:
        try:
            return self._http.get(f"ports/{segment(port_id)}", "port")
        except errors.NotFound:
            return None

    def _has(self, extension: str) -> bool:
        def load() -> frozenset[str]:
            return frozenset(one["alias"] for one in self._http.find("extensions"))

        return extension in self._extensions.get("all", load)

    def _vifs(
        self, ports: Sequence[Json], marks: Sequence[tuple[str | None, bool]], project_id: str | None
    ) -> tuple[Vif, ...]:
        """marks: (tag, is_preexisting) of each port. project_id set: ports just made, without floating IPs."""
        if not ports:
            return ()
        networks = self._facts("networks", self._networks, (port["network_id"] for port in ports))
        subnets = self._facts(
            "subnets", self._subnets, (one["subnet_id"] for port in ports for one in port["fixed_ips"])
        )
        names = self.security_groups.names([group for port in ports for group in port.get("security_groups") or ()])
        with_floating = [
            port["id"]
            for port, (_, is_preexisting) in zip(ports, marks, strict=True)
            if project_id is None or is_preexisting
        ]
        floating = self.floating_ips.of_ports(with_floating)
        return tuple(
            view.vif(
                port, networks[port["network_id"]], subnets, names, floating.get(port["id"], ()), tag, is_preexisting
            )
            for port, (tag, is_preexisting) in zip(ports, marks, strict=True)
            if port["network_id"] in networks
        )

    def _facts(self, plural: str, memory: TtlCache, ids: Iterable[str]) -> dict[str, Json]:
        load: Callable[[list[str]], dict[str, Json]] = lambda missing: {  # noqa: E731
            found["id"]: found for found in self._http.find(plural, {"id": missing})
        }
        return memory.get_many(list(dict.fromkeys(ids)), load)
