"""Furnishes a new cloud as a user would: image, flavors, network, key pair, the server `first`.

Usage: furnish.py PART[=ARGUMENT]...   with image=FILE, flavors, network=CIDR, router=CIDR, keypair=FILE,
hosts=COUNT, server. router=CIDR@NAME: the external network is this physical one.
What exists is left as it is.
"""

import sys
import time
from pathlib import Path

import openstack
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

# name, vCPUs, memory in MB, disk in GB: small enough that a laptop holds some of each.
FLAVORS = (
    ("m1.tiny", 1, 128, 1),
    ("m1.small", 1, 256, 2),
    ("m1.medium", 2, 512, 4),
    ("m1.large", 4, 1024, 8),
)


def add_image(cloud, path: str) -> None:
    if not cloud.image.find_image("tiny"):
        cloud.create_image(
            "tiny", filename=path, disk_format="qcow2", container_format="bare", visibility="public", wait=True
        )


def add_flavors(cloud) -> None:
    known = {flavor.name for flavor in cloud.compute.flavors()}
    for number, (name, vcpus, ram, disk) in enumerate(FLAVORS, start=1):
        if name not in known:
            cloud.compute.create_flavor(id=str(number), name=name, vcpus=vcpus, ram=ram, disk=disk)


def add_network(cloud, cidr: str) -> None:
    network = cloud.network.find_network("private")
    if not network:
        network = cloud.network.create_network(name="private", is_shared=True)
    if not list(cloud.network.subnets(network_id=network.id)):
        cloud.network.create_subnet(
            network_id=network.id, name="private", cidr=cidr, ip_version=4, dns_nameservers=["9.9.9.9"]
        )


def add_router(cloud, where: str) -> None:
    """The way out: an external network with floating addresses, and a router from private to it."""
    cidr, _, physical = where.partition("@")
    provider = {"provider_network_type": "flat", "provider_physical_network": physical} if physical else {}
    public = cloud.network.find_network("public")
    if not public:
        public = cloud.network.create_network(name="public", is_router_external=True, **provider)
    if not list(cloud.network.subnets(network_id=public.id)):
        cloud.network.create_subnet(network_id=public.id, name="public", cidr=cidr, ip_version=4, enable_dhcp=False)
    router = cloud.network.find_router("router")
    if not router:
        router = cloud.network.create_router(name="router", external_gateway_info={"network_id": public.id})
    joined = {port.network_id for port in cloud.network.ports(device_id=router.id)}
    private = cloud.network.find_network("private")
    if private.id not in joined:
        [subnet] = cloud.network.subnets(network_id=private.id)
        cloud.network.add_interface_to_router(router, subnet_id=subnet.id)


def add_keypair(cloud, path: str) -> None:
    if not cloud.compute.find_keypair("k1"):
        cloud.compute.create_keypair(name="k1", public_key=public_key(Path(path)))


def public_key(private: Path) -> str:
    """The public half of the key in that file, which is made when it is not there."""
    if private.exists():
        key = serialization.load_ssh_private_key(private.read_bytes(), None)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        private.touch(mode=0o600)
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
            )
        )
    encoded = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{encoded.decode()} k1"


def wait_for_hosts(cloud, count: str) -> None:
    """A host counts once it has said that it lives; what it can hold follows at once."""
    deadline = time.monotonic() + 120
    up: list[str] = []
    while len(up) < int(count):
        if time.monotonic() > deadline:
            sys.exit(f"only {len(up)} of {count} hosts have reported within two minutes: {', '.join(up)}")
        time.sleep(0.2)
        services = cloud.compute.services(binary="nova-compute")
        up = [service.host for service in services if service.state == "up" and service.status == "enabled"]


def boot_server(cloud) -> None:
    server = cloud.compute.find_server("first")
    if server and server.status == "ERROR":
        cloud.compute.delete_server(server)
        cloud.compute.wait_for_delete(server, interval=0.5, wait=60)
        server = None
    if not server:
        server = cloud.compute.create_server(
            name="first",
            image_id=cloud.image.find_image("tiny").id,
            flavor_id=cloud.compute.find_flavor("m1.tiny").id,
            networks=[{"uuid": cloud.network.find_network("private").id}],
            key_name="k1",
        )
    server = cloud.compute.get_server(server)
    if server.status == "SHUTOFF":
        cloud.compute.start_server(server)
    try:
        server = cloud.compute.wait_for_server(server, status="ACTIVE", interval=0.5, wait=180)
    except openstack.exceptions.ResourceFailure:
        sys.exit(f"first is in ERROR: {cloud.compute.get_server(server).fault}")
    print(f"first is {server.status}: {server.addresses}")


PARTS = {
    "image": add_image,
    "flavors": add_flavors,
    "network": add_network,
    "router": add_router,
    "keypair": add_keypair,
    "hosts": wait_for_hosts,
    "server": boot_server,
}


if __name__ == "__main__":
    connection = openstack.connect()
    for word in sys.argv[1:]:
        part, _, argument = word.partition("=")
        PARTS[part](connection, *([argument] if argument else []))
