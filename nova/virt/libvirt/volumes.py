"""Volumes of the Block Storage service: from connection info to something QEMU can open, and back.

RBD is opened by QEMU itself, and a local path is there already. Whatever needs work on the host
(iSCSI, Fibre Channel, NVMe-oF, NFS ...) is os-brick's, which is optional: without it, the host says
in so many words that it cannot.
"""

import contextlib
import logging
import os
import platform
from pathlib import Path
from typing import Any

import msgspec
from oslo_config import cfg

from nova import concurrency, errors
from nova.structs.guest import Disk
from nova.virt.libvirt import disk_calls
from nova.virt.libvirt.domain_xml.facts import Drive
from nova.virt.libvirt.files import volume_key
from nova.virt.libvirt.volume_records import VolumeRecords
from nova.virt.turns import Turns

LOG = logging.getLogger(__name__)

# os-brick itself waits for paths and retries, for some minutes.
_CONNECT_S = 1200.0
_BRICK = concurrency.BoundedCalls("The host's connection to volumes")


class VolumeConnections:
    """What of the Block Storage service is connected to this host, and for which guest.

    What must be undone on the host is written beside the guest's disks before it is done, so that a
    guest can be taken away by somebody who knows its id alone. Guests of one host that share a volume share its
    connection, which the last of them takes along.
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        self._conf = conf
        self._records = VolumeRecords(conf.instances_path, host)
        self._turns = Turns()
        self.adopt, self.rename_host = self._records.adopt, self._records.rename_host

    def describe_host(self) -> dict[str, Any]:
        """This host as a connector of the Block Storage API."""
        conf = self._conf
        facts: dict[str, Any] = {
            "host": conf.host,
            "ip": conf.my_block_storage_ip,
            "multipath": conf.libvirt.volume_use_multipath,
            "platform": platform.machine(),
            "os_type": "linux",
            "do_local_attach": False,
        }
        with contextlib.suppress(errors.NotImplementedHere):
            connector = _brick()
            facts |= _BRICK.run(
                _CONNECT_S,
                "description of this host",
                connector.get_connector_properties,
                None,
                conf.my_block_storage_ip,
                conf.libvirt.volume_use_multipath,
                enforce_multipath=False,
                host=conf.host,
            )
        return facts

    def connect(self, uuid: str, disk: Disk) -> Drive:
        """Make the volume reachable from this host; the drive's target and bus are the caller's to set.

        Raises errors.GuestFailed, errors.NotImplementedHere for a kind of volume this host does not know.
        """
        info = _connection_info(disk)
        kind, data = info["driver_volume_type"], info.get("data", {})
        drive = self._locate(kind, data) or self._through_brick(uuid, disk, kind, data)
        return msgspec.structs.replace(
            drive,
            serial=volume_key(disk),
            cache=self._cache_of(drive),
            is_read_only=data.get("access_mode") == "ro",
            is_shareable=bool(info.get("multiattach")),
        )

    def locate(self, disk: Disk) -> Drive:
        """The place of a volume that needs no connection; an empty path for any other."""
        info = disk.volume.connection_info if disk.volume else None
        drive = self._locate(info.get("driver_volume_type"), info.get("data", {})) if info else None
        return drive or Drive(target="", bus="virtio", path="")

    def place(self, uuid: str, disk: Disk) -> Drive:
        """Where a volume that was connected before lies on this host; an empty path where nobody knows."""
        drive = self.locate(disk)
        entry = None if drive.path else self._records.read(uuid).get(volume_key(disk))
        if entry is not None and entry["device"].get("path"):
            drive = _path_drive(str(entry["device"]["path"]), entry["data"])
        return msgspec.structs.replace(drive, serial=volume_key(disk))

    def is_connected(self, uuid: str, disk: Disk) -> bool:
        """Whether the host has been connected to a guest's volume, or began to be."""
        return volume_key(disk) in self._records.read(uuid)

    def extend(self, uuid: str, disk: Disk, size_bytes: int) -> int:
        """Let this host see that a guest's volume has grown; how large it is here, in bytes.

        size_bytes: as the Block Storage service says; what needs no work on the host is as large as that.
        """
        entry = self._records.read(uuid).get(volume_key(disk))
        if entry is None or not Path(str(entry["device"].get("path", ""))).is_block_device():
            return size_bytes
        return int(self._call_brick(entry["kind"], "extend_volume", entry["data"]) or size_bytes)

    def disconnect(self, uuid: str, key: str) -> None:
        """Disconnect the host from a guest's volume, unless another guest has it; no error when it is not connected.

        Raises errors.GuestFailed where nobody knows what is connected.
        """
        for name in self._records.of_server(uuid):
            # What cannot be read of a directory that was put away says nothing of the guest.
            with contextlib.suppress(errors.VolumesUnknown) if name != uuid else contextlib.nullcontext():
                self._let_go(name, key)

    def disconnect_all(self, uuid: str) -> None:
        """Disconnect the host from every volume of a guest that is gone, as far as it is known which they are."""
        for name in self._records.of_server(uuid):
            self.let_go(name)

    def let_go(self, name: str) -> None:
        """Disconnect the host from what the record in a guest's directory names, before that is taken away.

        Raises errors.GuestFailed.
        """
        try:
            keys = tuple(self._records.read(name))
        except errors.VolumesUnknown as error:
            # The guest is gone, and it goes with its directory: a server can be deleted all the same.
            LOG.error("volumes of server %s may stay connected to this host until it starts anew: %s", name, error)
            return
        for key in keys:
            self._let_go(name, key)

    def _let_go(self, name: str, key: str) -> None:
        """Take a volume out of a directory's record; the host is disconnected where no other one has it."""
        with self._turns.of(key):
            connections = self._records.read(name)
            entry = connections.pop(key, None)
            if entry is None:
                return
            if not self._records.is_elsewhere(name, key):
                self._call_brick(entry["kind"], "disconnect_volume", entry["data"], entry["device"])
            self._records.write(name, connections)

    def _locate(self, kind: object, data: Any) -> Drive | None:
        if kind == "rbd":
            return self._rbd(data)
        return _path_drive(str(data["device_path"]), data) if kind == "local" else None

    def _through_brick(self, uuid: str, disk: Disk, kind: str, data: dict[str, Any]) -> Drive:
        key = volume_key(disk)
        with self._turns.of(key):
            connections = self._records.known(uuid)
            device = connections.get(key, {}).get("device", {})
            connections[key] = {"kind": kind, "data": data, "device": device}
            self._records.write(uuid, connections)
            device = self._call_brick(kind, "connect_volume", data)
            connections[key]["device"] = device
            self._records.write(uuid, connections)
        return _path_drive(str(device["path"]), data)

    def _call_brick(self, kind: str, method: str, *arguments: Any) -> Any:
        brick, libvirt = _brick(), self._conf.libvirt
        try:
            connector = brick.InitiatorConnector.factory(
                kind.upper(),
                None,
                use_multipath=libvirt.volume_use_multipath,
                nfs_mount_point_base=libvirt.nfs_mount_point_base,
                nfs_mount_options=libvirt.nfs_mount_options,
            )
            name = f"{method} {arguments[0].get('volume_id', id(arguments))}"
            return _BRICK.run(_CONNECT_S, name, getattr(connector, method), *arguments)
        except errors.Unavailable:
            raise
        except Exception as error:
            reason = "A volume cannot be connected to the server's host, or released by it"
            raise errors.GuestFailed(reason=reason, detail=f"{method}, {kind}: {error}") from error

    def _rbd(self, data: dict[str, Any]) -> Drive:
        user = data.get("auth_username") or self._conf.libvirt.rbd_user
        return Drive(
            target="",
            bus="virtio",
            type="network",
            protocol="rbd",
            path=str(data["name"]),
            hosts=tuple(f"{host}:{port}" for host, port in zip(data["hosts"], data["ports"], strict=True)),
            user=user if data.get("auth_enabled") else None,
            secret=self._conf.libvirt.rbd_secret_uuid or data.get("secret_uuid"),
        )

    def _cache_of(self, drive: Drive) -> str:
        """none unless configured otherwise: what the guest has flushed must be on the volume."""
        modes: dict[str, str] = dict(pair.split("=", 1) for pair in self._conf.libvirt.disk_cachemodes if "=" in pair)
        return modes.get(drive.type, "none" if drive.type == "block" else "writeback")


def _connection_info(disk: Disk) -> dict[str, Any]:
    info = disk.volume.connection_info if disk.volume else None
    if not info or "driver_volume_type" not in info:
        raise errors.GuestFailed(reason=f"Volume {volume_key(disk)} comes without the way to reach it")
    return dict(info)


def _path_drive(path: str, data: dict[str, Any]) -> Drive:
    """A file's format is what the service says: looking at it would let a guest choose."""
    is_qcow2 = data.get("format") == "qcow2"
    kind = "block" if disk_calls.quick(Path(path).is_block_device) else "file"
    return Drive(target="", bus="virtio", type=kind, path=path, format="qcow2" if is_qcow2 else "raw")


def _brick() -> Any:
    try:
        from os_brick import privileged  # noqa: PLC0415 - optional
        from os_brick.initiator import connector  # noqa: PLC0415
    except ImportError as error:
        raise errors.NotImplementedHere(action="use this kind of volume (os-brick is not installed)") from error
    if os.geteuid() == 0:
        # No daemon is needed to become what this process already is.
        privileged.default.set_client_mode(False)
    return connector
