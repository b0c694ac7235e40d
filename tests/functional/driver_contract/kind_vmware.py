"""A simulated vCenter, whose disks have content; the driver reaches it through a proxy that speaks TLS."""

import contextlib
import datetime
import re
import subprocess
import uuid as uuids
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyVmomi import vim, vmodl

from nova.conf import load
from nova.structs.guest import Disk
from nova.structs.instance import BlockDevice
from nova.virt.driver import Driver
from nova.virt.vmware import VMwareVCDriver
from tests.functional.driver_contract.hypervisor import HOST, Hypervisor
from tests.functional.driver_contract.wire import HttpProxy
from tests.simulators.vcenter.simulator import VCenter

_PLACE, _ROOM = 65536, 64
_CONTENT = b"what a user keeps on a volume"
_IMAGE_ID = "5a7f3c2e-0000-4000-8000-0000000000aa"
# What only asks. A login changes nothing that lasts.
_QUESTIONS = re.compile(
    rb"Fetch|Retrieve|ContinueRetrieve|Find|SearchDatastore|Login|CurrentTime|Query|SessionIsActive|CreateFilter|WaitForUpdates"
)


class VMwareHypervisor(Hypervisor):
    kind = "vmware"
    lacks = frozenset({"pause"})
    image_format = "vmdk"
    snapshot_format = "vmdk"

    def __init__(self, directory: Path, vcenter: VCenter) -> None:
        super().__init__(directory)
        self.vcenter = vcenter
        self._image = directory / "image"
        self._image.write_bytes(b"an image that boots".ljust(1 << 20, b"\0"))
        self._foreign = {machine._moId for machine in vcenter.machines()}
        self._stock = {path for store in vcenter.datastores.values() for path in store.iterdir()}
        self.certificate = _make_certificate(directory)
        self.proxy = HttpProxy(vcenter.port, self.faults, _name_change, self.certificate)

    def driver(self, host: str = HOST, **options: Any) -> Driver:
        """options: of [vmware]."""
        conf = load([], [])
        settings = {
            "host_ip": "localhost",
            "host_port": self.proxy.port,
            "host_username": "user",
            "host_password": "pass",
            "cluster_name": "DC0_C0",
            "ca_file": str(self.certificate),
            "task_poll_interval": 0.05,
            "api_retry_count": 1,
        } | options
        for name, value in settings.items():
            conf.set_override(name, value, "vmware")
        driver = VMwareVCDriver(conf, host)
        driver.start()
        return driver

    def write(self, uuid: str, text: str, disk: str = "root") -> None:
        with self._file(uuid, disk).open("r+b") as file:
            file.seek(_PLACE)
            file.write(text.encode().ljust(_ROOM, b"\0"))

    def read(self, uuid: str, disk: str = "root") -> str:
        with self._file(uuid, disk).open("rb") as file:
            file.seek(_PLACE)
            return file.read(_ROOM).rstrip(b"\0").decode()

    def leftovers(self) -> list[str]:
        machines = [machine.name for machine in self.vcenter.machines() if machine._moId not in self._foreign]
        paths = (path for store in self.vcenter.datastores.values() for path in store.iterdir())
        return machines + [path.name for path in paths if path not in self._stock and path.name != f"{HOST}_base"]

    def macs(self, uuid: str) -> set[str]:
        nics = self._devices(uuid, vim.vm.device.VirtualEthernetCard)
        return {nic.macAddress for nic in nics}

    def make_volume(self) -> Disk:
        """The Block Storage service keeps a volume as the disk of a machine of its own."""
        volume_id = str(uuids.uuid4())
        path = f"[LocalDS_0] {volume_id}/{volume_id}.vmdk"
        controller = vim.vm.device.VirtualLsiLogicController(key=-101, busNumber=0, sharedBus="noSharing")
        backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=path, diskMode="persistent")
        disk = vim.vm.device.VirtualDisk(key=-1, controllerKey=-101, unitNumber=0, capacityInKB=1024, backing=backing)
        add = vim.vm.device.VirtualDeviceSpec.Operation.add
        spec = vim.vm.ConfigSpec(
            name=f"volume-{volume_id}",
            guestId="otherGuest",
            files=vim.vm.FileInfo(vmPathName=f"[LocalDS_0] {volume_id}/{volume_id}.vmx"),
            deviceChange=[
                vim.vm.device.VirtualDeviceSpec(operation=add, device=controller),
                vim.vm.device.VirtualDeviceSpec(operation=add, fileOperation="create", device=disk),
            ],
        )
        (host,) = self.vcenter.datacenter().hostFolder.childEntity
        task = self.vcenter.datacenter().vmFolder.CreateVM_Task(spec, host.resourcePool, None)
        machine = task.info.result
        self._foreign.add(machine._moId)
        self._stock.add(self.vcenter.path(path).parent)
        _flat(self.vcenter.path(path)).write_bytes(_CONTENT.ljust(1 << 20, b"\0"))
        device = BlockDevice(
            id=str(uuids.uuid4()),
            source="volume",
            destination="volume",
            volume_id=volume_id,
            connection_info={"driver_volume_type": "vmdk", "data": {"volume": machine._moId, "volume_id": volume_id}},
        )
        return Disk(kind="volume", device_name="/dev/sdb", volume=device)

    def volumes(self, uuid: str) -> set[str]:
        paths = (disk.backing.fileName for disk in self._devices(uuid, vim.vm.device.VirtualDisk))
        return {Path(path).stem for path in paths if uuid not in path}

    def is_whole(self, volume: Disk) -> bool:
        assert volume.volume is not None
        path = self.vcenter.path(f"[LocalDS_0] {volume.volume.volume_id}/{volume.volume.volume_id}.vmdk")
        return _flat(path).read_bytes().startswith(_CONTENT)

    def image_file(self) -> Path:
        return self._image

    def image_id(self) -> str:
        return _IMAGE_ID

    def root(self, size_mb: int = 0) -> Disk:
        # As the image cache says it: an image of this type is the extent of a VMDK.
        return msgspec.structs.replace(super().root(size_mb), image_format="raw")

    def vif_details(self) -> dict[str, Any]:
        return {"bridge_name": "DC0_DVPG0"}

    def holds(self, snapshot: Path, text: str) -> bool:
        """An image of the type streamOptimized is compressed."""
        raw = snapshot.with_name(f"{snapshot.name}.raw")
        subprocess.run(["qemu-img", "convert", "-q", "-f", "vmdk", "-O", "raw", snapshot, raw], check=True)
        content = raw.read_bytes()
        raw.unlink()
        return text.encode() in content

    def snapshots(self, uuid: str) -> list[str]:
        """The names of the snapshots of the server's machine."""
        kinds = vmodl.query.PropertyCollector
        machine = kinds.ObjectSpec(obj=self.machine(uuid))
        wanted = kinds.PropertySpec(type=vim.VirtualMachine, pathSet=["snapshot"])
        collector = self.vcenter.content.propertyCollector
        answer = collector.RetrievePropertiesEx(
            [kinds.FilterSpec(objectSet=[machine], propSet=[wanted])], kinds.RetrieveOptions()
        )
        trees = [tree for one in answer.objects for value in one.propSet for tree in value.val.rootSnapshotList]
        assert not any(tree.childSnapshotList for tree in trees)
        return [tree.name for tree in trees]

    def machine(self, uuid: str) -> Any:
        """The server's machine, by its UUID, that no move has put aside."""
        found = [one for one in self.vcenter.machines() if one.config.uuid == uuid and f"({uuid})" in one.name]
        assert len(found) == 1, found
        return found[0]

    def _file(self, uuid: str, kind: str) -> Path:
        """The disk's content, by the name that the driver gives to a disk's file for its kind."""
        paths = [self.vcenter.path(one.backing.fileName) for one in self._devices(uuid, vim.vm.device.VirtualDisk)]
        (path,) = (path for path in paths if path.name.startswith(f"{kind}-"))
        return _flat(path)

    def _root(self, uuid: str) -> Path:
        disk = next(one for one in self._devices(uuid, vim.vm.device.VirtualDisk) if one.unitNumber == 0)
        return _flat(self.vcenter.path(disk.backing.fileName))

    def _devices(self, uuid: str, kind: type) -> list[Any]:
        return [one for one in self.machine(uuid).config.hardware.device if isinstance(one, kind)]


def _flat(path: Path) -> Path:
    return path.with_name(path.stem + "-flat.vmdk")


@contextlib.contextmanager
def running(directory: Path, program: Path):
    vcenter = VCenter(program, directory)
    try:
        hypervisor = VMwareHypervisor(directory, vcenter)
        yield hypervisor
        hypervisor.proxy.close()
    finally:
        vcenter.close()


def _name_change(method: str, path: str, body: bytes) -> str | None:
    if method != "POST" or not path.startswith("/sdk"):
        return None if method in ("GET", "HEAD") else f"{method} {path.partition('?')[0]}"
    name = re.search(rb"<soapenv:Body>\s*<(\w+)", body)
    assert name is not None, body[:500]
    return None if _QUESTIONS.match(name[1]) else name[1].decode()


def _make_certificate(directory: Path) -> Path:
    """A certificate that signs itself, for localhost, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
