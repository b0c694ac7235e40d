"""A network host, a machine outside, and guests: network namespaces with real bridges, routers, DHCP and filters."""

import subprocess
import uuid

from nova.network.host import firewall
from nova.network.host.dataplane import LinuxDataplane
from nova.network.host.spaces import network_name
from tests.functional.network.machines import Machine, connect, get_address

OUTSIDE, HOST_OUTSIDE = "198.51.100.2", "198.51.100.1"
PUBLIC = "203.0.113.0/24"
SECRET = "between-proxy-and-api"


class World:
    """A network host with a way to the outside, and guests on it."""

    def __init__(self, cloud, directory):
        self.cloud = cloud
        self.directory = directory
        self.machines = []
        self.host = self.machine()
        self.outside = self.machine()
        connect(self.host, "out0", self.outside, "eth0")
        self.host.run("ip", "addr", "add", f"{HOST_OUTSIDE}/24", "dev", "out0")
        self.outside.run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0")
        self.host.run("ip", "route", "add", "default", "via", OUTSIDE)
        self.outside.run("ip", "route", "add", PUBLIC, "via", HOST_OUTSIDE)
        self.dataplane = LinuxDataplane(cloud.conf, cloud.conductor)
        self.public = None

    def machine(self):
        self.machines.append(Machine(self.directory))
        return self.machines[-1]

    def converge(self):
        with self.host.inside():
            self.dataplane.converge()

    def join(self, *networks, project=None, outside=True):
        """A router that joins all subnets of these networks, and leads out."""
        project = project or self.cloud.project()
        if self.public is None:
            self.public = self.cloud.admin.network(cidr=PUBLIC, name="public", **{"router:external": True})
        gateway = {"network_id": self.public["id"]} if outside else None
        router = project.create("routers", name="router", external_gateway_info=gateway)
        for subnet_id in (subnet_id for network in networks for subnet_id in network["subnets"]):
            answer = project.ask("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id})
            assert answer.status_code == 200, answer.text
        return router

    def serve_metadata(self):
        """Metadata for guests, from an API on the host's loopback."""
        self.host.serve_metadata("127.0.0.1", self.cloud.conf.metadata_port, SECRET)

    def space(self, network):
        """The name of a network's namespace."""
        return network_name(self.dataplane._realm, network["id"])

    def in_space(self, name, *command):
        """What a command prints in a namespace of the host."""
        return subprocess.run(["ip", "netns", "exec", name, *command], capture_output=True, text=True).stdout

    def bridge(self, network):
        [record] = self.cloud.conductor.networking("network", {"id": [network["id"]]})
        return record.bridge

    def port(self, network, **values):
        """A port of a server on this host."""
        project = values.pop("project", self.cloud.project())
        port = project.create("ports", network_id=network["id"], device_id=str(uuid.uuid4()), **values)
        binding = {"binding:host_id": self.cloud.conf.host, "device_owner": "compute:nova"}
        return self.cloud.admin.update("ports", port["id"], **binding)

    def plug(self, network, port):
        """A guest whose device is the port's."""
        guest = self.machine()
        device = firewall.device_of(port["id"])
        connect(self.host, device, guest, "eth0", mac=port["mac_address"])
        self.host.run("ip", "link", "set", device, "master", self.bridge(network))
        guest.port = port
        guest.address = port["fixed_ips"][0]["ip_address"]
        return guest

    def boot(self, network, **values):
        """A guest that has asked for its address."""
        port = self.port(network, **values)
        self.converge()
        guest = self.plug(network, port)
        guest.lease = get_address(guest)
        return guest

    def close(self):
        with self.host.inside():
            self.dataplane.remove()
            self.dataplane.stop()
        for machine in self.machines:
            machine.close()


def make_world(make_network_host, directory, **options):
    """A world whose metadata API would be on its host's loopback."""
    settings = {"networks_path": str(directory / "networks"), "metadata_port": 18775, "host": "host-1"}
    cloud = make_network_host(**{**settings, "metadata_host": "127.0.0.1", **options})
    cloud.conf.set_override("service_metadata_proxy", True, group="neutron")
    cloud.conf.set_override("metadata_proxy_shared_secret", SECRET, group="neutron")
    return World(cloud, directory)
