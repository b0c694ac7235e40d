"""A XenServer pool of one host that is simulated down to its guests' QEMU processes."""

import contextlib
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nova.conf import load
from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice
from nova.virt.driver import Driver
from nova.virt.xenserver import XenAPIDriver
from tests.functional.driver_contract.hypervisor import HOST, Hypervisor
from tests.simulators.xenserver import Pool

_READS = re.compile(r"\w+\.get_\w+|event\.from|session\.\w+|task\.\w+|host\.call_plugin|VM\.query_data_source|SR\.scan")
# Behind what a boot of the tests' operating system reads, and within the image.
_PLACE, _ROOM = 65536, 64
_CONTENT = b"what a user keeps on a volume"
_NAMES = {"ephemeral": "ephemeral0"}
_GUEST = Path(__file__).parents[1] / "libvirt" / "guest.bin"


class XenServerHypervisor(Hypervisor):
    kind = "xenapi"

    def __init__(self, directory: Path, pool: Pool) -> None:
        super().__init__(directory)
        self._pool = pool
        self._image = directory / "image.raw"
        self._image.write_bytes(_GUEST.read_bytes().ljust(1 << 20, b"\0"))
        pool.around = self._around

    def driver(self) -> Driver:
        conf = load([], [])
        conf.set_override("host", HOST)
        for name, value in (
            ("connection_url", self._pool.url),
            ("connection_password", self._pool.password),
            ("request_timeout", 30),
        ):
            conf.set_override(name, value, "xenserver")
        driver = XenAPIDriver(conf, HOST)
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
        store = self._pool.store
        vms = [r["name_label"] for r in store.all("VM").values() if not r["is_control_domain"]]
        disks = [r["name_label"] for r in store.all("VDI").values() if "nova:image" not in r["other_config"]]
        storages = [r["name_label"] for ref, r in store.all("SR").items() if ref != self._pool.storage]
        return [*vms, *disks, *storages, *(r["MAC"] for r in store.all("VIF").values())]

    def macs(self, uuid: str) -> set[str]:
        return {self._pool.store.get("VIF", vif)["MAC"] for vif in self._vm(uuid)["VIFs"]}

    def make_volume(self) -> Disk:
        volume_id = str(uuid.uuid4())
        iqn = f"iqn.2010-10.org.example:{volume_id}"
        with self._pool.add_lun(iqn, 1, 1 << 20).open("r+b") as file:
            file.write(_CONTENT)
        data = {"target_portal": "192.0.2.1:3260", "target_iqn": iqn, "target_lun": 1}
        device = BlockDevice(
            id=str(uuid.uuid4()),
            source="volume",
            destination="volume",
            volume_id=volume_id,
            connection_info={"driver_volume_type": "iscsi", "data": data},
        )
        return Disk(kind="volume", device_name="/dev/vdb", volume=device)

    def volumes(self, uuid: str) -> set[str]:
        records = [self._pool.store.get("VBD", vbd) for vbd in self._vm(uuid)["VBDs"]]
        assert all(record["currently_attached"] for record in records)
        return {r["other_config"]["nova:volume"] for r in records if "nova:volume" in r["other_config"]}

    def is_whole(self, volume: Disk) -> bool:
        assert volume.volume is not None and volume.volume.connection_info is not None
        data = volume.volume.connection_info["data"]
        assert isinstance(data, dict)
        return self._pool.luns[data["target_iqn"], "1"].read_bytes().startswith(_CONTENT)

    def vif_details(self) -> dict[str, Any]:
        return {"bridge_name": "xenbr0"}

    def image_file(self) -> Path:
        return self._image

    def _around(self, name: str, make: Callable[[], bytes]) -> bytes:
        return make() if _READS.fullmatch(name) else self.faults.change(name, make)

    def _vm(self, uuid: str) -> dict[str, list[str]]:
        (vm,) = (r for r in self._pool.store.all("VM").values() if r["other_config"].get("nova:name") == uuid)
        return vm

    def _disk(self, uuid: str, kind: str) -> Path:
        vdis = self._pool.store.all("VDI")
        vm = self._vm(uuid)["uuid"]
        (disk,) = (
            r
            for r in vdis.values()
            if (r["other_config"].get("nova:vm"), r["other_config"].get("nova:disk")) == (vm, _NAMES.get(kind, kind))
        )
        return self._pool.directory / str(disk["location"])


@contextlib.contextmanager
def running(directory: Path):
    pool = Pool(directory=directory)
    try:
        yield XenServerHypervisor(directory, pool)
    finally:
        pool.close()
