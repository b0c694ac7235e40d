"""What must be true of a cloud at rest, whatever happened to it before."""

from sqlalchemy import select

from nova.db import hosts, instances, operations, quotas
from nova.db.models.operations import Operation
from nova.structs.instance import Instance, VmState
from nova.structs.requests import ServerQuery
from nova.virt.holdings import Holdings
from tests.functional.cloud import PATIENCE_S, wait

_WITHOUT_GUEST = (VmState.SHELVED_OFFLOADED, VmState.DELETED)


def settle(cloud, timeout_s=PATIENCE_S):
    """Wait until no operation is under way, and nothing is left of one."""

    def open_now(connection):
        return operations.count_under_way(connection) + operations.count_left(connection)

    wait(lambda: cloud.db.read(open_now) == 0, "every operation has ended", timeout_s)


def leftovers(cloud):
    """Everything that is not as it should be, in words; empty for a cloud in order."""
    servers = cloud.db.read(lambda c: instances.find(c, ServerQuery()))
    return [
        *_transient(servers),
        *_open_operations(cloud),
        *_allocations(cloud, servers),
        *_quota(cloud, servers),
        *_guests(cloud, servers),
        *_disks(cloud, servers),
        *_ports(cloud, servers),
        *_attachments(cloud, servers),
        *_volumes(cloud, servers),
        *_snapshots(cloud),
        *_volume_files(cloud, servers),
        *_shares(cloud, servers),
    ]


def _transient(servers: list[Instance]):
    return [f"{one.uuid} is still {one.task_state}" for one in servers if one.task_state is not None]


def _open_operations(cloud):
    table = Operation.__table__
    is_open = table.c.state.in_(("queued", "running", "unwinding", "left"))
    rows = cloud.db.read(lambda c: c.execute(select(table.c.name, table.c.state).where(is_open)).all())
    return [f"operation {row.name} is {row.state}" for row in rows]


def _allocations(cloud, servers):
    placed = {one.uuid for one in servers if one.host is not None}
    # What a server was before its resize is held by the migration until that is confirmed.
    placed |= {before.migration_id for one in servers if (before := one.properties.resized_from) is not None}
    held = set()
    for provider in cloud.placement.providers():
        held |= set(cloud.placement.provider_allocations(provider.uuid))
    yield from (f"server {uuid} has a host and holds nothing" for uuid in placed - held)
    yield from (f"{uuid} holds resources and has no host" for uuid in held - placed)


def _quota(cloud, servers):
    counted: dict[str, dict[str, int]] = {}
    for one in servers:
        use = counted.setdefault(one.project_id, {"instances": 0, "cores": 0, "ram": 0})
        use["instances"] += 1
        sizes = [one.flavor, *([one.properties.resized_from.flavor] if one.properties.resized_from else [])]
        use["cores"] += max(flavor.vcpus for flavor in sizes)
        use["ram"] += max(flavor.memory_mb for flavor in sizes)
    for project, use in cloud.db.read(quotas.all_usages).items():
        expected = counted.get(project, {"instances": 0, "cores": 0, "ram": 0})
        for resource in ("instances", "cores", "ram"):
            if use.get(resource, 0) != expected[resource]:
                yield f"{project} uses {expected[resource]} {resource}, counted are {use.get(resource, 0)}"


def _guests(cloud, servers):
    # Of a host that is down nobody can tell.
    alive = {cloud.hypervisor(name).name for name in cloud.hosts}
    expected = {one.uuid: one.host for one in servers if one.host in alive and one.vm_state not in _WITHOUT_GUEST}
    for name in cloud.hosts:
        hypervisor = cloud.hypervisor(name)
        for uuid in hypervisor.guests:
            if expected.pop(uuid, None) != hypervisor.name:
                yield f"guest {uuid} on {hypervisor.name} is nobody's"
        aside = {one.uuid for one in servers if one.properties.resized_from is not None}
        yield from (f"guest {uuid} is still aside on {hypervisor.name}" for uuid in hypervisor.aside.keys() - aside)
    # The old guest of a rebuild that failed is gone, and its server may be rebuilt again.
    broken = {one.uuid for one in servers if one.vm_state is VmState.ERROR}
    yield from (f"server {uuid} has no guest on {host}" for uuid, host in expected.items() if uuid not in broken)


def _disks(cloud, servers):
    """What a guest wrote last is where the record says, once. Of a host that is down nobody can tell."""
    known = {one.uuid: one for one in servers}
    for name in cloud.hosts:
        hypervisor = cloud.hypervisor(name)
        for held in Holdings(hypervisor.shelf).held():
            server = known.get(held.server)
            if not _may_lie(server, held, hypervisor.name):
                yield f"{hypervisor.name} holds disks in {held.name} of {held.mark}, the record says {server and server.disks_id}"
    for one in servers:
        content, allowed = _content_of(cloud, one), {cloud.written.get(one.uuid)}
        if one.uuid in cloud.made_anew and one.image is not None:
            allowed |= {f"image {one.image.id}"} | ({"no disk"} if one.vm_state is VmState.ERROR else set())
        if content is not None and one.uuid in cloud.written and content not in allowed:
            yield f"the disk of {one.uuid} has {content!r}, its guest wrote {cloud.written[one.uuid]!r}"


def _may_lie(server, held, host):
    """Whether a directory of disks has its reason to be on a host."""
    if server is None:
        return False
    if held.place == "aside":
        return server.properties.resized_from is not None
    return held.place == "own" and (server.disks_id in (held.mark.made_by, held.mark.found_as))


def _content_of(cloud, server):
    """What the server's only disk holds; None: it has none, or its host is down."""
    if server.image_id is None:
        return None
    shelved = server.system_metadata.get("shelved_image_id")
    if server.vm_state is VmState.SHELVED_OFFLOADED:
        return cloud.glance.content(shelved).decode()
    hypervisors = {cloud.hypervisor(name).name: cloud.hypervisor(name) for name in cloud.hosts}
    if server.host not in hypervisors:
        return None
    # Shelving that was given up half-way has left it in the image that the record names.
    given_up = cloud.glance.content(shelved).decode() if server.vm_state is VmState.ERROR and shelved else "no disk"
    return hypervisors[server.host].shelf.content(server.uuid) or given_up


def _ports(cloud, servers):
    known = {one.uuid: {vif.port_id for vif in one.vifs} for one in servers}
    answer = cloud.client("admin", "admin").get("/v2.0/ports", url="http://network")
    for port in answer.json()["ports"]:
        device = port["device_id"]
        if port["device_owner"].startswith("compute:") and port["id"] not in known.get(device, ()):
            yield f"port {port['id']} belongs to {device}, which does not know it"


def _attachments(cloud, servers):
    known = {device.attachment_id for one in servers for device in one.block_devices if device.attachment_id}
    held = {one["id"]: one["instance"] for one in cloud.cinder.attachments.values()}
    yield from (f"attachment {uuid} belongs to {held[uuid]}, which does not know it" for uuid in held.keys() - known)
    yield from (f"attachment {uuid} is not there" for uuid in known - held.keys())


def _volumes(cloud, servers):
    """Each is in use by the host where its server is, or kept for a server that has none."""
    attachments, volumes = cloud.cinder.attachments, cloud.cinder.volumes
    for one in servers:
        # What an operation left that could not be finished is to be seen by an operator.
        if one.vm_state is VmState.ERROR:
            continue
        for device in one.block_devices:
            attachment = attachments.get(device.attachment_id)
            if attachment is None:
                continue
            status = volumes[device.volume_id]["status"]
            is_there = attachment["status"] == "attached" and attachment.get("host", one.host) == one.host
            if one.host is None:
                is_there = attachment["status"] == "reserved" and not attachment["connection_info"]
            if not is_there or status not in (("reserved", "in-use") if one.host is None else ("in-use",)):
                yield f"volume {device.volume_id} is {status}, {attachment['status']} for {one.uuid} on {attachment.get('host')}"


def _snapshots(cloud):
    mapped = " ".join(image.get("block_device_mapping", "") for image in cloud.glance.images.values())
    for uuid, snapshot in cloud.cinder.snapshots.items():
        # A host's part in a snapshot of the Block Storage service is told by its progress.
        if uuid not in mapped and "progress" not in snapshot:
            yield f"snapshot {uuid} belongs to no image, and no host has told of it"
    for image in cloud.glance.images.values():
        if image["status"] == "queued":
            yield f"image {image['id']} waits for its data"


def _shares(cloud, servers):
    address = {node.host: node.state.share_ip for node in cloud.db.read(hosts.nodes)}
    given = [(one, share) for one in servers for share in one.shares if share.status == "inactive"]
    # A delete that failed may have taken some of it away, and may be asked for again.
    broken = {share.share_id for one, share in given if one.vm_state is VmState.ERROR}
    given = [(one, share) for one, share in given if share.share_id not in broken]
    for one in servers:
        yield from (
            f"share {share.share_id} of {one.uuid} is {share.status}"
            for share in one.shares
            if share.status in ("attaching", "detaching")
        )
    wanted = {(share.share_id, address[one.host]) for one, share in given}
    rules = [rule for rule in cloud.manila.rules.values() if rule["share_id"] not in broken]
    there = {(rule["share_id"], rule["access_to"]) for rule in rules}
    yield from (f"nobody needs access of {to} to share {share_id}" for share_id, to in there - wanted)
    yield from (f"{to} has no access to share {share_id}" for share_id, to in wanted - there)
    locked = sorted(lock["resource_id"] for lock in cloud.manila.locks.values() if lock["resource_id"] not in broken)
    if locked != sorted(share.share_id for _, share in given):
        yield f"locked are {locked}"
    for name in cloud.hosts:
        hypervisor = cloud.hypervisor(name)
        running = {
            (share.share_id, one.uuid)
            for one, share in given
            if one.host == hypervisor.name and one.vm_state is not VmState.STOPPED
        }
        mounts = {share_id: users for share_id, users in hypervisor.mounts.items() if share_id not in broken}
        mounted = {(share_id, uuid) for share_id, users in mounts.items() for uuid in users}
        if running != mounted:
            yield f"{hypervisor.name} has mounted {mounted}, its guests need {running}"


def _volume_files(cloud, servers):
    """A guest that starts again must find the file it wrote to."""
    guests = cloud.guests()
    for one in servers:
        for device in one.block_devices:
            files = guests[one.uuid].files.get(device.volume_id) if one.uuid in guests else None
            if files and device.connection_info["data"]["name"] != files[-1]:
                yield f"{one.uuid} writes to {files[-1]}, its record says {device.connection_info['data']['name']}"
