"""Fake guests that outlive their nova-compute: what is on each fake host, and what images hold, in files of a directory.

A file is written whole and renamed after every call of the driver, so that what a call reached is there once it was
answered. A nova-compute that is killed meanwhile finds what the calls before it left: as a hypervisor's guests and disks.
"""

import threading
from pathlib import Path
from typing import TypeVar

import msgspec

from nova.structs.guest import Disk, GuestSpec, RebootKind
from nova.structs.instance import PowerState
from nova.structs.network import Vif
from nova.structs.share import Share
from nova.virt.fake.disks import Directory

_IMAGES = "images"

T = TypeVar("T")


class Guest(msgspec.Struct, kw_only=True):
    """A guest and all that was done to it. files: of each volume that was snapshotted, the one written to last.
    volume_sizes: of volumes that have grown under it, in bytes. shares: by the tag under which the guest mounts each."""

    spec: GuestSpec
    power_state: PowerState = PowerState.RUNNING
    is_halted: bool = False
    vifs: dict[str, Vif] = {}
    volumes: dict[str, Disk] = {}
    volume_sizes: dict[str, int] = {}
    files: dict[str, list[str]] = {}
    shares: dict[str, Share] = {}
    password: str | None = None
    is_rescued: bool = False
    reboots: list[RebootKind] = []
    console: str = ""


def new_guest(spec: GuestSpec) -> Guest:
    return Guest(
        spec=spec,
        vifs={vif.port_id: vif for vif in spec.vifs},
        shares={share.tag: share for share in spec.shares},
        console=f"{spec.name} login: ",
    )


class State(msgspec.Struct, kw_only=True):
    """What is on one fake host. aside: what guests were before they moved or grew, until that is confirmed. mounts:
    on the host, by share, and for which guests."""

    guests: dict[str, Guest] = {}
    aside: dict[str, Guest] = {}
    mounts: dict[str, set[str]] = {}
    directories: dict[str, Directory] = {}


class StateDirectory:
    """The files of all fake hosts of a nova-compute. Who writes a host's holds that host's lock."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._images_lock = threading.Lock()
        self._path.mkdir(parents=True, exist_ok=True)

    def read(self, host: str) -> State:
        return self._read(host, State) or State()

    def write(self, host: str, state: State) -> None:
        self._write(host, msgspec.json.encode(state))

    def read_images(self) -> dict[str, str]:
        return self._read(_IMAGES, dict[str, str]) or {}

    def write_images(self, images: dict[str, str]) -> None:
        with self._images_lock:
            self._write(_IMAGES, msgspec.json.encode(images))

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode((self._path / f"{name}.json").read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def _write(self, name: str, content: bytes) -> None:
        part = self._path / f"{name}.part"
        part.write_bytes(content)
        part.rename(self._path / f"{name}.json")
