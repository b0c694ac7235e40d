"""A simulated vCenter, whose disks have content; the driver reaches it through a proxy that speaks TLS."""

import contextlib
import datetime
import re
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyVmomi import vim

from nova.conf import load
from nova.structs.guest import Disk
from nova.virt.driver import Driver
from nova.virt.vmware import VMwareVCDriver
from tests.functional.driver_contract.hypervisor import HOST, Hypervisor
from tests.functional.driver_contract.wire import HttpProxy
from tests.simulators.vcenter.simulator import VCenter

_PLACE, _ROOM = 65536, 64
_IMAGE_ID = "5a7f3c2e-0000-4000-8000-0000000000aa"
# What only asks. A login changes nothing that lasts.
_QUESTIONS = re.compile(
    rb"Fetch|Retrieve|ContinueRetrieve|Find|SearchDatastore|Login|CurrentTime|Query|SessionIsActive|CreateFilter|WaitForUpdates"
)


class VMwareHypervisor(Hypervisor):
    kind = "vmware"
    lacks = frozenset({"pause", "Volumes", "Snapshots", "Rescue", "Moving"})
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

    def write(self, uuid: str, text: str) -> None:
        with self._root(uuid).open("r+b") as file:
            file.seek(_PLACE)
            file.write(text.encode().ljust(_ROOM, b"\0"))

    def read(self, uuid: str) -> str:
        with self._root(uuid).open("rb") as file:
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
        return Disk(kind="volume", device_name="/dev/sdb")

    def volumes(self, uuid: str) -> set[str]:
        return set()

    def is_whole(self, volume: Disk) -> bool:
        return True

    def image_file(self) -> Path:
        return self._image

    def image_id(self) -> str:
        return _IMAGE_ID

    def vif_details(self) -> dict[str, Any]:
        return {"bridge_name": "DC0_DVPG0"}

    def machine(self, uuid: str) -> Any:
        """The server's machine, by its UUID, that no move has put aside."""
        found = [one for one in self.vcenter.machines() if one.config.uuid == uuid and f"({uuid})" in one.name]
        assert len(found) == 1, found
        return found[0]

    def _root(self, uuid: str) -> Path:
        disk = next(one for one in self._devices(uuid, vim.vm.device.VirtualDisk) if one.unitNumber == 0)
        return Path(str(self.vcenter.path(disk.backing.fileName)).removesuffix(".vmdk") + "-flat.vmdk")

    def _devices(self, uuid: str, kind: type) -> list[Any]:
        return [one for one in self.machine(uuid).config.hardware.device if isinstance(one, kind)]


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
