"""How a server comes into the state an operation starts from, and how a user asks for the operation.

An operation that is missing here fails test_every_operation_has_a_set_up. One that goes several ways
has a set-up for each: "createImage of volumes" is a way of createImage.
"""

import dataclasses
import json
from collections.abc import Callable

from tests.functional.invariants import settle


@dataclasses.dataclass(frozen=True)
class SetUp:
    """How an operation is begun: prepare gives a server's id, ask does what the user does.

    ends_in: the statuses (None: the server is gone) in which the operation may leave the server,
    whatever happens on the way. settings: of the cloud it needs. makes_disk_anew: the operation gives up what the
    server's guest wrote.
    """

    prepare: Callable
    ask: Callable
    ends_in: tuple[str | None, ...]
    settings: str = ""
    makes_disk_anew: bool = False

    def server_id(self, user):
        """A server from which the operation starts; what its guest wrote counts unless the operation gives it up."""
        server_id = self.prepare(user)
        if self.makes_disk_anew:
            user.cloud.made_anew.add(server_id)
        return server_id


def an_active_server(user):
    server_id = user.create_server(networks="auto")["id"]
    user.cloud.write(server_id)
    return server_id


def after(prepare, name, status, argument=None):
    """A server on which an action has been done before."""

    def prepared(user):
        server_id = prepare(user)
        assert user.act(server_id, name, argument).status_code < 300
        return user.wait(server_id, status)["id"]

    return prepared


a_stopped_server = after(an_active_server, "os-stop", "SHUTOFF")


def a_server_with_a_volume(user):
    server_id = an_active_server(user)
    volume_id = user.cloud.cinder.add()
    body = {"volumeAttachment": {"volumeId": volume_id}}
    assert user.post(f"/servers/{server_id}/os-volume_attachments", body).status_code == 202
    settle(user.cloud)
    return server_id


# A server that moves takes its volumes along.
a_resized_server = after(a_server_with_a_volume, "resize", "VERIFY_RESIZE", {"flavorRef": "m1.small"})
a_shelved_server = after(a_server_with_a_volume, "shelve", "SHELVED_OFFLOADED")
a_server_shelved_on_its_host = after(a_server_with_a_volume, "shelve", "SHELVED")


def a_stopped_server_with_a_share(user):
    server_id = a_stopped_server(user)
    assert attaches_a_share(user, server_id).status_code == 201
    settle(user.cloud)
    return server_id


a_server_with_a_share = after(a_stopped_server_with_a_share, "os-start", "ACTIVE")


def a_server_that_boots_from_a_volume(user):
    volume_id = user.cloud.cinder.add(bootable="true")
    root = {"boot_index": 0, "source_type": "volume", "destination_type": "volume", "uuid": volume_id}
    wanted = user.wanted(networks="auto", block_device_mapping_v2=[root])
    del wanted["imageRef"]
    server_id = user.post("/servers", {"server": wanted}).json()["server"]["id"]
    return user.wait(server_id, "ACTIVE")["id"]


def a_server_of_a_dead_host(user):
    server_id = a_server_with_a_volume(user)
    cloud = user.cloud
    name = next(name for name in cloud.hosts if server_id in cloud.hypervisor(name).guests)
    cloud.stop_host(name)
    services = user.get("/os-services?binary=nova-compute").json()["services"]
    [service] = [one for one in services if one["host"] == cloud.hypervisor(name).name]
    assert user.put(f"/os-services/{service['id']}", {"forced_down": True}).status_code == 200
    return server_id


def a_soft_deleted_server(user):
    server_id = an_active_server(user)
    user.delete(f"/servers/{server_id}")
    return user.wait(server_id, "SOFT_DELETED")["id"]


def acts(name, argument=None):
    return lambda user, server_id: user.act(server_id, name, argument)


def builds(user, nothing):
    """A server with a volume beside its disk, so that every step has something to do."""
    image = next(iter(user.cloud.glance.images))
    devices = [
        {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0},
        {"source_type": "volume", "destination_type": "volume", "uuid": user.cloud.cinder.add()},
    ]
    wanted = user.wanted(networks="auto", image=image, block_device_mapping_v2=devices)
    answer = user.post("/servers", {"server": wanted})
    assert answer.status_code == 202
    return answer


def deletes(user, server_id):
    return user.delete(f"/servers/{server_id}")


def attaches_an_interface(user, server_id):
    """The answer comes when it is over: a fault may keep the caller waiting, or be the answer."""
    network = next(iter(user.get("/v2.0/networks", url="http://network").json()["networks"]))["id"]
    body = {"interfaceAttachment": {"net_id": network}}
    answer = user.post(f"/servers/{server_id}/os-interface", body)
    if answer.status_code == 500:
        answer.status_code = 200
    return answer


def detaches_an_interface(user, server_id):
    interfaces = user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]
    return user.delete(f"/servers/{server_id}/os-interface/{interfaces[0]['port_id']}")


def attaches_a_volume(user, server_id):
    body = {"volumeAttachment": {"volumeId": user.cloud.cinder.add()}}
    return user.post(f"/servers/{server_id}/os-volume_attachments", body)


def attaches_a_share(user, server_id):
    return user.post(f"/servers/{server_id}/shares", {"share": {"share_id": user.cloud.manila.add()}})


def detaches_a_share(user, server_id):
    [share] = user.get(f"/servers/{server_id}/shares").json()["shares"]
    return user.delete(f"/servers/{server_id}/shares/{share['share_id']}")


def snapshots_a_volume(user, server_id):
    snapshot_id = user.cloud.cinder.add_snapshot(volume_id := _volume(user, server_id))
    info = {"snapshot_id": snapshot_id, "type": "qcow2", "new_file": f"volume.{snapshot_id}"}
    return user.post("/os-assisted-volume-snapshots", {"snapshot": {"volume_id": volume_id, "create_info": info}})


def a_server_with_a_snapshot(user):
    server_id = a_server_with_a_volume(user)
    assert snapshots_a_volume(user, server_id).status_code == 200
    settle(user.cloud)
    return server_id


def merges_a_snapshot(user, server_id):
    volume_id = _volume(user, server_id)
    [snapshot_id] = [uuid for uuid, one in user.cloud.cinder.snapshots.items() if one["volume_id"] == volume_id]
    files = {"file_to_merge": f"volume.{snapshot_id}", "merge_target_file": f"volume-{volume_id}"}
    info = json.dumps({"volume_id": volume_id, "type": "qcow2", **files})
    return user.delete(f"/os-assisted-volume-snapshots/{snapshot_id}", params={"delete_info": info})


def detaches_a_volume(user, server_id):
    return user.delete(f"/servers/{server_id}/os-volume_attachments/{_volume(user, server_id)}")


def swaps_a_volume(user, server_id):
    body = {"volumeAttachment": {"volumeId": user.cloud.cinder.add()}}
    return user.put(f"/servers/{server_id}/os-volume_attachments/{_volume(user, server_id)}", body)


def extends_a_volume(user, server_id):
    """What the Block Storage service does when it has extended a volume."""
    user.cloud.cinder.volumes[_volume(user, server_id)]["size"] = 2
    event = {"name": "volume-extended", "server_uuid": server_id, "tag": _volume(user, server_id)}
    return user.post("/os-server-external-events", {"events": [event]})


def _volume(user, server_id):
    return user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"][0]["volumeId"]


def rebuilds(user, server_id):
    return user.act(server_id, "rebuild", {"imageRef": user.cloud.glance.add("newer"), "name": "new"})


def adds_an_address(user, server_id):
    interfaces = user.get(f"/servers/{server_id}/os-interface").json()["interfaceAttachments"]
    old = user.cloud.client("admin", "project", version="2.43")
    return old.act(server_id, "addFixedIp", {"networkId": interfaces[0]["net_id"]})


def a_server_with_two_addresses(user):
    server_id = an_active_server(user)
    assert adds_an_address(user, server_id).status_code == 202
    settle(user.cloud)
    return server_id


def removes_an_address(user, server_id):
    [addresses] = user.server(server_id)["addresses"].values()
    old = user.cloud.client("admin", "project", version="2.43")
    return old.act(server_id, "removeFixedIp", {"address": addresses[-1]["addr"]})


_KEPT = "[DEFAULT]\nreclaim_instance_interval = 3600\n"
_STAYS = "[DEFAULT]\nshelved_offload_time = -1\n"
_LIVE = {"host": None, "block_migration": "auto"}
_BACKUP = {"name": "backup", "backup_type": "daily", "rotation": 1}

SETUPS = {
    "create": SetUp(lambda user: None, builds, ("ACTIVE", "ERROR")),
    "delete": SetUp(an_active_server, deletes, (None, "ERROR")),
    "delete of a shelved server": SetUp(a_shelved_server, deletes, (None, "ERROR")),
    "forceDelete": SetUp(an_active_server, acts("forceDelete"), (None, "ERROR")),
    "softDelete": SetUp(an_active_server, deletes, ("SOFT_DELETED", "ACTIVE"), _KEPT),
    "restore": SetUp(a_soft_deleted_server, acts("restore"), ("SOFT_DELETED", "ACTIVE"), _KEPT),
    "start": SetUp(a_stopped_server, acts("os-start"), ("ACTIVE", "SHUTOFF")),
    "stop": SetUp(an_active_server, acts("os-stop"), ("ACTIVE", "SHUTOFF")),
    "reboot": SetUp(an_active_server, acts("reboot", {"type": "HARD"}), ("ACTIVE",)),
    "pause": SetUp(an_active_server, acts("pause"), ("ACTIVE", "PAUSED")),
    "unpause": SetUp(after(an_active_server, "pause", "PAUSED"), acts("unpause"), ("ACTIVE", "PAUSED")),
    "suspend": SetUp(an_active_server, acts("suspend"), ("ACTIVE", "SUSPENDED")),
    "resume": SetUp(after(an_active_server, "suspend", "SUSPENDED"), acts("resume"), ("ACTIVE", "SUSPENDED")),
    "changePassword": SetUp(an_active_server, acts("changePassword", {"adminPass": "word"}), ("ACTIVE",)),
    "trigger_crash_dump": SetUp(an_active_server, acts("trigger_crash_dump"), ("ACTIVE",)),
    "rebuild": SetUp(an_active_server, rebuilds, ("ACTIVE", "ERROR"), makes_disk_anew=True),
    "rebuild of volumes": SetUp(a_server_that_boots_from_a_volume, rebuilds, ("ACTIVE", "ERROR")),
    "rescue": SetUp(an_active_server, acts("rescue"), ("ACTIVE", "RESCUE")),
    "unrescue": SetUp(after(an_active_server, "rescue", "RESCUE"), acts("unrescue"), ("ACTIVE", "RESCUE")),
    "createImage": SetUp(an_active_server, acts("createImage", {"name": "copy"}), ("ACTIVE",)),
    "createImage of volumes": SetUp(
        a_server_that_boots_from_a_volume, acts("createImage", {"name": "copy"}), ("ACTIVE",)
    ),
    "createBackup": SetUp(an_active_server, acts("createBackup", _BACKUP), ("ACTIVE",)),
    "resize": SetUp(a_server_with_a_volume, acts("resize", {"flavorRef": "m1.small"}), ("ACTIVE", "VERIFY_RESIZE")),
    "migrate": SetUp(a_server_with_a_volume, acts("migrate"), ("ACTIVE", "VERIFY_RESIZE")),
    "confirmResize": SetUp(a_resized_server, acts("confirmResize"), ("ACTIVE", "VERIFY_RESIZE")),
    "revertResize": SetUp(a_resized_server, acts("revertResize"), ("ACTIVE", "VERIFY_RESIZE", "ERROR")),
    "live-migration": SetUp(a_server_with_a_volume, acts("os-migrateLive", _LIVE), ("ACTIVE",)),
    "evacuate": SetUp(a_server_of_a_dead_host, acts("evacuate", {}), ("ERROR", "SHUTOFF"), makes_disk_anew=True),
    "shelve": SetUp(a_server_with_a_volume, acts("shelve"), ("ACTIVE", "SHELVED_OFFLOADED", "ERROR")),
    "shelveOffload": SetUp(
        a_server_shelved_on_its_host, acts("shelveOffload"), ("SHELVED", "SHELVED_OFFLOADED", "ERROR"), _STAYS
    ),
    "unshelve": SetUp(a_shelved_server, acts("unshelve"), ("ACTIVE", "SHELVED_OFFLOADED")),
    "attach_interface": SetUp(an_active_server, attaches_an_interface, ("ACTIVE",)),
    "detach_interface": SetUp(an_active_server, detaches_an_interface, ("ACTIVE",)),
    "attach_volume": SetUp(an_active_server, attaches_a_volume, ("ACTIVE",)),
    "detach_volume": SetUp(a_server_with_a_volume, detaches_a_volume, ("ACTIVE",)),
    "swap_volume": SetUp(a_server_with_a_volume, swaps_a_volume, ("ACTIVE",)),
    "extend_volume": SetUp(a_server_with_a_volume, extends_a_volume, ("ACTIVE",)),
    "volume_snapshot_create": SetUp(a_server_with_a_volume, snapshots_a_volume, ("ACTIVE",)),
    "volume_snapshot_delete": SetUp(a_server_with_a_snapshot, merges_a_snapshot, ("ACTIVE",)),
    "attach_share": SetUp(a_stopped_server, attaches_a_share, ("SHUTOFF",)),
    "detach_share": SetUp(a_stopped_server_with_a_share, detaches_a_share, ("SHUTOFF",)),
    "start with shares": SetUp(a_stopped_server_with_a_share, acts("os-start"), ("ACTIVE", "SHUTOFF")),
    "stop with shares": SetUp(a_server_with_a_share, acts("os-stop"), ("ACTIVE", "SHUTOFF")),
    "delete with shares": SetUp(a_server_with_a_share, deletes, (None, "ERROR")),
    "addFixedIp": SetUp(an_active_server, adds_an_address, ("ACTIVE",)),
    "removeFixedIp": SetUp(a_server_with_two_addresses, removes_an_address, ("ACTIVE",)),
}


def workflow_of(name):
    """The name of the operation that a set-up is for."""
    return name.partition(" ")[0]
