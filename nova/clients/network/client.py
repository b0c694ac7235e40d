"""The ports of servers, through the Networking API of a Neutron or of nova-network alike.

Requests are made with the service's own credentials, so they always name a project. Every call may
be made twice: for each port to create the caller chooses an id. It is the port's where the API lets an administrator
choose it (nova-network), which makes creating it again one request; else the port's description carries it. (A
binding profile would hide it from users, but may be set only by those who have the role `service`.)
"""

import logging
from collections.abc import Callable, Collection, Sequence
from types import MappingProxyType
from typing import Any

from keystoneauth1.adapter import Adapter

from nova import errors
from nova.clients.http import segment
from nova.clients.network import view
from nova.clients.network.floating_ips import FloatingIps
from nova.clients.network.http import NetworkingHttp, NetworkingRefused
from nova.clients.network.networks import Networks
from nova.clients.network.port_bindings import PortBindings, Said
from nova.clients.network.port_claims import PortClaims, read, with_allocation
from nova.clients.network.request_checks import NETWORK_CLAIMS, RequestChecks
from nova.clients.network.security_groups import SecurityGroups
from nova.structs.network import NetworkRequest, Vif

LOG = logging.getLogger(__name__)

Json = dict[str, Any]

# A port's description, where the id that was chosen for it cannot be its own.
_MADE_HERE = "Made for a server as "


class Networking:
    """What other daemons do with networks. networks, security_groups and floating_ips are its parts.

    project_of: the project of a server by its id. Ports of any other project are not the server's, whatever they name
    as their device.
    """

    def __init__(self, adapter: Adapter, project_of: Callable[[str], str | None] | None = None) -> None:
        self._project_of = project_of
        self._http = NetworkingHttp(adapter)
        self.networks = Networks(self._http)
        self.security_groups = SecurityGroups(self._http)
        self.floating_ips = FloatingIps(self._http)
        self.claims = PortClaims(self._http)
        self._bindings = PortBindings(self._http)
        self.validate = RequestChecks(self._http, self.networks, self.security_groups).check

    # While servers are built, moved and deleted

    def allocate(
        self,
        project_id: str,
        instance_uuid: str,
        host: str | None,
        zone: str | None,
        hostname: str,
        requests: Sequence[NetworkRequest] | None,
        port_ids: Sequence[str],
        security_groups: Sequence[str] = (),
        said: Said = MappingProxyType({}),
    ) -> tuple[Vif, ...]:
        """Give a server its ports, bound to host. port_ids: for each request, the chosen id of the port to create.
        said: by port, which providers give what it claims.

        Raises PortInUse, PortNotFound, MultipleNetworks, Invalid, IpAddressGenerationFailure,
        IpAddressInUse, QuotaExceeded, HostRefused. Ports created before a failure remain: release() finds them.
        """
        if requests is None:
            requests = self.networks.default_request(project_id)
        requests = [self.networks.auto_request(project_id) if each.is_auto else each for each in requests]
        if not requests:
            return ()
        binding = {
            "device_id": instance_uuid,
            "device_owner": f"compute:{zone or 'nova'}",
            "binding:host_id": host or "",
        }
        if self._http.has("dns-integration"):
            binding["dns_name"] = hostname
        wanted = self._wanted_ports(project_id, requests, security_groups, port_ids, binding)
        created = iter(self._create_ports([port for port in wanted if port is not None], binding))
        ports = [
            self._adopt(request.port_id, binding, said.get(request.port_id)) if request.port_id else next(created)
            for request in requests
        ]
        vifs = self._vifs(ports, [(request.tag, bool(request.port_id)) for request in requests], project_id)
        view.check_bound(vifs, host or "")
        return vifs

    def bind(self, instance_uuid: str, host: str, said: Said = MappingProxyType({})) -> None:
        """Move a server's ports to host; those that expect() has bound there are active there from now on.

        said: by port, which providers there give what it claims.
        """
        for port in self._ports_of(instance_uuid):
            self._bindings.move(port, host, said.get(port["id"]))

    def expect(
        self, instance_uuid: str, host: str, vifs: tuple[Vif, ...], said: Said = MappingProxyType({})
    ) -> tuple[Vif, ...] | None:
        """Let the network of a running server be ready on a second host; how its ports are plugged there.

        None where that is not possible: bind() does all then. Raises HostRefused.
        """
        return self._bindings.add(self._ports_of(instance_uuid), vifs, host, said)

    def expect_no_more(self, instance_uuid: str, host: str) -> None:
        """The undo of expect(): the server stays where it is."""
        self._bindings.remove(self._ports_of(instance_uuid), host)

    def unbind(self, instance_uuid: str) -> None:
        """A server without a host keeps its ports and their addresses."""
        self.bind(instance_uuid, "")

    def release(self, instance_uuid: str, keep: Collection[str] = ()) -> None:
        """Delete a server's ports, but for those to keep, which are unbound."""
        for port in self._ports_of(instance_uuid):
            self._release(port, port["id"] in keep)

    def view(self, instance_uuid: str, known: Sequence[Vif] = ()) -> tuple[Vif, ...]:
        """A server's ports as they are now. known: its record, for what the Networking API does not know.

        A port that the record does not know is its user's, but for one that was made for a server.
        """
        order = {vif.port_id: index for index, vif in enumerate(known)}
        before = {vif.port_id: vif for vif in known}
        ports = sorted(self._ports_of(instance_uuid), key=lambda port: order.get(port["id"], len(order)))
        marks = [
            (before[port["id"]].tag, before[port["id"]].is_preexisting)
            if port["id"] in before
            else (None, not self._is_made_here(port))
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
        vifs = self.allocate(project_id, instance_uuid, host, zone, hostname, requests, (port_id,), security_groups)
        if not vifs:
            raise errors.Invalid("The project has no network to attach to.")
        return vifs[0]

    def has_port(self, instance_uuid: str, port_id: str) -> bool:
        """Whether a port exists and is a server's."""
        port = self._find_port(port_id)
        return port is not None and port["device_id"] == instance_uuid

    def detach(self, instance_uuid: str, port_id: str, keep: bool = False) -> None:
        """Take one port away, if the server has it: by its id, or by the one that was chosen for it."""
        port = self._find_port(port_id)
        if port is not None and port["device_id"] == instance_uuid:
            self._release(port, keep)
            return
        for each in self._ports_of(instance_uuid):
            if each["description"] == _MADE_HERE + port_id:
                self._release(each, keep)

    def add_fixed_ip(self, instance_uuid: str, network_id: str, known: Collection[str]) -> None:
        """One more address of a network for a server's port on it, unless the port has one beyond known already.

        Raises Invalid when the server has no port on the network.
        """
        for port in self._ports_of(instance_uuid):
            if port["network_id"] != network_id or not port["fixed_ips"]:
                continue
            if any(ip["ip_address"] not in known for ip in port["fixed_ips"]):
                return
            more = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
            self._http.put(f"ports/{port['id']}", {"port": {"fixed_ips": [*port["fixed_ips"], more]}})
            return
        raise errors.Invalid(f"Server {instance_uuid} has no port on network {network_id}.")

    def remove_fixed_ip(self, instance_uuid: str, address: str) -> None:
        """Take an address away, if the server has it."""
        for port in self._ports_of(instance_uuid):
            rest = [ip for ip in port["fixed_ips"] if ip["ip_address"] != address]
            if len(rest) < len(port["fixed_ips"]):
                self._http.put(f"ports/{port['id']}", {"port": {"fixed_ips": rest}})

    def port(self, port_id: str) -> Json:
        """Raises PortNotFound."""
        port = self._find_port(port_id)
        if port is None:
            raise errors.PortNotFound(port_id=port_id)
        return port

    def ports_of_project(self, project_id: str) -> list[Json]:
        """A project's ports, but for those of the Networking service itself."""
        ports = self._http.find("ports", {"project_id": project_id})
        return [port for port in ports if not port["device_owner"].startswith("network:")]

    # Metadata

    def device_at(self, address: str, network_id: str | None = None) -> tuple[str, str] | None:
        """(server, project) of the port with this address; None when no server has it, or several have.

        Separate networks may use one address twice: the address alone does not tell which server asks.
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

    def _wanted_ports(
        self,
        project_id: str,
        requests: Sequence[NetworkRequest],
        security_groups: Sequence[str],
        port_ids: Sequence[str],
        binding: Json,
    ) -> list[Json | None]:
        """For each request the port to create, None where it names an existing one."""
        groups = [self.security_groups.id_of(project_id, name) for name in security_groups]
        chooses_id = self._http.has("nova-network")
        wanted: list[Json | None] = []
        for index, request in enumerate(requests):
            if request.port_id:
                wanted.append(None)
                continue
            port = {"network_id": request.network_id, "project_id": project_id, "admin_state_up": True, **binding}
            if chooses_id:
                port["id"] = port_ids[index]
            else:
                port["description"] = _MADE_HERE + port_ids[index]
            if request.fixed_ip:
                port["fixed_ips"] = [{"ip_address": request.fixed_ip}]
            if groups:
                port["security_groups"] = groups
            wanted.append(port)
        return wanted

    def _create_ports(self, wanted: list[Json], binding: Json) -> list[Json]:
        if not wanted:
            return []
        if all("id" in port for port in wanted):
            return [self._moved(port, binding) for port in self._post_ports(wanted)]
        # An earlier attempt may have created them.
        existing = {port["description"]: port for port in self._ports_of(binding["device_id"])}
        matches = [existing.get(port["description"]) for port in wanted]
        created = iter(self._post_ports([port for port, match in zip(wanted, matches, strict=True) if match is None]))
        ports = [next(created) if match is None else self._moved(match, binding) for match in matches]
        if any(read(port) is not None for port in ports):
            # Nothing is claimed for ports that are made after the host was chosen.
            raise errors.Invalid(NETWORK_CLAIMS)
        return ports

    def _post_ports(self, wanted: list[Json]) -> list[Json]:
        if not wanted:
            return []
        if len(wanted) == 1:
            return [self._http.post("ports", {"port": wanted[0]})]
        return self._http.post_many("ports", wanted)

    def _moved(self, port: Json, binding: Json) -> Json:
        if port.get("binding:host_id") == binding["binding:host_id"]:
            return port
        body = {"port": {"binding:host_id": binding["binding:host_id"]}}
        return self._http.put(f"ports/{port['id']}", body)

    def _adopt(self, port_id: str, binding: Json, said: Json | str | None) -> Json:
        port = self.port(port_id)
        if said is not None:
            profile = dict(port.get("binding:profile") or {})
            binding = {**binding, "binding:profile": with_allocation(profile, said)}
        if port["device_id"] not in ("", binding["device_id"]) or view.is_somebody_elses(port):
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
        free: Json = {"device_id": "", "device_owner": "", "binding:host_id": ""}
        profile = dict(port.get("binding:profile") or {})
        if profile != with_allocation(profile, None):
            free["binding:profile"] = with_allocation(profile, None)
        if port.get("dns_name"):
            free["dns_name"] = ""
        try:
            self._http.put(f"ports/{port['id']}", {"port": free})
        except errors.NotFound:
            LOG.info("port %s went before it could be unbound", port["id"])

    def _is_made_here(self, port: Json) -> bool:
        return self._http.has("nova-network") or port.get("description", "").startswith(_MADE_HERE)

    def _ports_of(self, instance_uuid: str) -> list[Json]:
        project_id = self._project_of(instance_uuid) if self._project_of is not None else None
        return self._http.ports_of_server(project_id, instance_uuid)

    def _find_port(self, port_id: str) -> Json | None:
        try:
            return dict(self._http.get(f"ports/{segment(port_id)}", "port"))
        except errors.NotFound:
            return None

    def _vifs(
        self, ports: Sequence[Json], marks: Sequence[tuple[str | None, bool]], project_id: str | None
    ) -> tuple[Vif, ...]:
        """marks: (tag, is_preexisting) of each port. project_id set: new ports, which have no floating IPs."""
        if not ports:
            return ()
        networks = self.networks.by_id(port["network_id"] for port in ports)
        subnets = self.networks.subnets_by_id(ip["subnet_id"] for port in ports for ip in port["fixed_ips"])
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
