"""What a cloud at rest may not have beside its servers: ports, volumes and images of nobody, records that do not end."""

from collections.abc import Iterator
from typing import Any

from soaking.cloud import Cloud

Servers = dict[str, dict[str, Any]]

_ENDED_MIGRATIONS = ("completed", "confirmed", "reverted", "error", "failed", "cancelled", "done")
_SHELVED = ("SHELVED", "SHELVED_OFFLOADED")
_WHOLE = ("active", "deactivated")


def found(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """In words."""
    yield from _ports(cloud, servers)
    yield from _images(cloud, servers)
    yield from _records(cloud, servers)
    yield from _quota(cloud, servers)
    if cloud.has_volumes:
        yield from _volumes(cloud, servers)


def _ports(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """Each belongs to a server that shows it, is bound to the server's host, and the guest has it."""
    ports = cloud.ask("network", "GET", "/v2.0/ports").json()["ports"]
    ports = [port for port in ports if port["device_owner"].startswith("compute:")]
    for port in ports:
        server = servers.get(port["device_id"])
        if server is None:
            yield f"port {port['id']} belongs to {port['device_id']}, which is no server"
        elif server["OS-EXT-SRV-ATTR:host"] and port["binding:host_id"] != server["OS-EXT-SRV-ATTR:host"]:
            yield f"port {port['id']} is on {port['binding:host_id']}, its server on {server['OS-EXT-SRV-ATTR:host']}"
    plugged = cloud.plugged_ports()
    for uuid in servers:
        own = {port["id"] for port in ports if port["device_id"] == uuid}
        listed = cloud.ask("compute", "GET", f"/servers/{uuid}/os-interface").json().get("interfaceAttachments", ())
        if {one["port_id"] for one in listed} != own:
            yield f"server {uuid} shows {sorted(one['port_id'] for one in listed)}, the network knows {sorted(own)}"
        if uuid in plugged and plugged[uuid] != own:
            yield f"the guest of {uuid} has {sorted(plugged[uuid])}, the network knows {sorted(own)}"


def _images(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """None waits for its data for ever, and a shelved server's goes with it."""
    for image in cloud.ask("image", "GET", "/v2/images?limit=500").json()["images"]:
        if image["status"] not in _WHOLE:
            yield f"image {image['name']} {image['id']} is {image['status']}"
        if image["name"].endswith("-shelved"):
            owner = servers.get(image.get("instance_uuid", ""))
            if owner is None or owner["status"] not in _SHELVED:
                yield f"image {image['name']} {image['id']} is of {owner and owner['id']}, which is {owner and owner['status']}"


def _records(cloud: Cloud, servers: Servers) -> Iterator[str]:
    for name, state, uuid in cloud.rows("SELECT name, state, instance_uuid FROM operations WHERE finished_at IS NULL"):
        yield f"operation {name} of {uuid} is {state}"
    for (uuid,) in cloud.rows("SELECT DISTINCT instance_uuid FROM console_tokens"):
        if uuid not in servers:
            yield f"a console token is good for {uuid}, which is no server"
    resized = [uuid for uuid, server in servers.items() if server["status"] == "VERIFY_RESIZE"]
    for migration in cloud.ask("compute", "GET", "/os-migrations").json()["migrations"]:
        is_waiting = migration["status"] == "finished" and migration["instance_uuid"] in resized
        if migration["status"] not in _ENDED_MIGRATIONS and not is_waiting:
            yield f"migration {migration['id']} of {migration['instance_uuid']} is {migration['status']}"


def _quota(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """What is counted is what there is. A resize counts the larger flavor until its end."""
    if any(server["status"] == "VERIFY_RESIZE" for server in servers.values()):
        return
    answer = cloud.ask("compute", "GET", f"/os-quota-sets/{cloud.project}/detail").json()["quota_set"]
    flavors = [server["flavor"] for server in servers.values() if server["tenant_id"] == cloud.project]
    there = {
        "instances": len(flavors),
        "cores": sum(flavor["vcpus"] for flavor in flavors),
        "ram": sum(flavor["ram"] for flavor in flavors),
    }
    for resource, amount in there.items():
        if answer[resource]["in_use"] != amount:
            yield f"quota counts {answer[resource]['in_use']} {resource}, there are {amount}"


def _volumes(cloud: Cloud, servers: Servers) -> Iterator[str]:
    """Each is attached as its server shows it, or is available."""
    shown = {
        (one["volumeId"], uuid)
        for uuid in servers
        for one in cloud.ask("compute", "GET", f"/servers/{uuid}/os-volume_attachments").json()["volumeAttachments"]
    }
    known = set()
    for volume in cloud.ask("block-storage", "GET", "/volumes/detail?all_tenants=1").json()["volumes"]:
        known |= {(volume["id"], attachment["server_id"]) for attachment in volume["attachments"]}
        if volume["status"] != ("in-use" if volume["attachments"] else "available"):
            yield f"volume {volume['id']} is {volume['status']} with {len(volume['attachments'])} attachments"
    yield from (f"server {uuid} shows volume {volume}, which is not attached to it" for volume, uuid in shown - known)
    yield from (f"volume {volume} is attached to {uuid}, which does not show it" for volume, uuid in known - shown)
