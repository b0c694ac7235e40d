"""A libvirtd with real QEMU guests, in namespaces of its own."""

import contextlib
import shutil
import uuid
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice
from nova.virt.driver import Driver
from tests.functional.driver_contract.hypervisor import Hypervisor
from tests.functional.driver_contract.wire import LibvirtProxy

# Creates, destroys, defines, undefines, attaches, detaches, shuts down, resumes, suspends, saves, reboots, copies.
_CHANGES = frozenset(
    {
        8,
        9,
        10,
        11,
        12,
        13,
        27,
        28,
        33,
        34,
        35,
        160,
        161,
        174,
        182,
        184,
        196,
        231,
        234,
        237,
        258,
        264,
        266,
        345,
        350,
        421,
    }
)
# Behind what a boot of the tests' operating system reads, and within the image.
_PLACE, _ROOM = 65536, 64
_CONTENT = b"what a user keeps on a volume"
_FILES = {"root": "disk", "ephemeral": "disk.eph0", "swap": "disk.swap0"}
_GUEST = Path(__file__).parents[1] / "libvirt" / "guest.bin"


class LibvirtHypervisor(Hypervisor):
    kind = "libvirt"
    lacks = frozenset({"soft reboot"})

    def __init__(self, directory: Path, host) -> None:
        super().__init__(directory)
        self._host = host
        self._volumes = directory / "volumes"
        self._volumes.mkdir()
        self._image = directory / "image.raw"
        self._image.write_bytes(_GUEST.read_bytes().ljust(1 << 20, b"\0"))

    def driver(self) -> Driver:
        uri = f"qemu+unix:///system?socket={self.directory}/proxy.sock"
        driver = self._host.driver(libvirt__connection_uri=uri, libvirt__images_type="flat")
        driver.start()
        return driver

    def write(self, uuid: str, text: str, disk: str = "root") -> None:
        with self._disk(uuid, disk).open("r+b") as file:
            file.seek(_PLACE)
            file.write(text.encode().ljust(_ROOM, b"\0"))

    def read(self, uuid: str, disk: str = "root") -> str:
        with self._disk(uuid, disk).open("rb") as file:
            file.seek(_PLACE)
            return file.read(_ROOM).rstrip(b"\0").decode()

    def leftovers(self) -> list[str]:
        files = self._host.instances.iterdir() if self._host.instances.exists() else ()
        return [*self._host.virsh("list", "--all", "--name").split(), *(path.name for path in files)]

    def macs(self, uuid: str) -> set[str]:
        return {element.get("address", "") for element in self._xml(uuid).iterfind("devices/interface/mac")}

    def make_volume(self) -> Disk:
        volume_id = str(uuid.uuid4())
        path = self._volumes / volume_id
        path.write_bytes(_CONTENT.ljust(1 << 20, b"\0"))
        device = BlockDevice(
            id=str(uuid.uuid4()),
            source="volume",
            destination="volume",
            volume_id=volume_id,
            connection_info={"driver_volume_type": "local", "data": {"device_path": str(path)}},
        )
        return Disk(kind="volume", device_name="/dev/vdb", volume=device)

    def volumes(self, uuid: str) -> set[str]:
        return {element.text or "" for element in self._xml(uuid).iterfind("devices/disk/serial")}

    def is_whole(self, volume: Disk) -> bool:
        assert volume.volume is not None
        return (self._volumes / str(volume.volume.volume_id)).read_bytes().startswith(_CONTENT)

    def image_file(self) -> Path:
        return self._image

    def _disk(self, uuid: str, kind: str) -> Path:
        return self._host.instances / uuid / _FILES[kind]

    def _xml(self, uuid: str) -> ElementTree.Element:
        return ElementTree.fromstring(self._host.virsh("dumpxml", uuid))


@contextlib.contextmanager
def running(directory: Path, host):
    """host: a HypervisorHost of tests/functional/libvirt, this thread being on its network."""
    hypervisor = LibvirtHypervisor(directory, host)
    target = host.uri.partition("socket=")[2]
    proxy = LibvirtProxy(directory / "proxy.sock", target, hypervisor.faults, _CHANGES)
    try:
        yield hypervisor
    finally:
        proxy.close()
        shutil.rmtree(directory, ignore_errors=True)
