"""Real hypervisor hosts for tests: a libvirtd and its QEMU guests in namespaces of their own.

A host is made once per run, and is swept after each test. Guests boot a 512-byte operating system
(guest.s), so a boot takes a second even without hardware virtualization.
"""

import contextlib
import ctypes
import datetime
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nova import concurrency
from nova.conf import load
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.virt.libvirt import LibvirtDriver

HERE = Path(__file__).parent
PROGRAMS = ("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img", "genisoimage", "isoinfo", "unshare", "ip")
CLONE_NEWNET = 0x40000000


class HypervisorHost:
    """One compute host: its own network, processes, name, libvirtd and instances_path."""

    def __init__(self, directory: Path, name: str, cache: Path) -> None:
        self.directory, self.name = directory, name
        self.instances = directory / "instances"
        for part in ("etc", "run", "lib", "log"):
            (directory / part).mkdir(parents=True)
        (directory / "cache").symlink_to(cache)
        self._configure()
        isolated = ["unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        keeper = [sys.executable, str(HERE / "host_keeper.py"), str(directory), name]
        self._process = subprocess.Popen([*isolated, *keeper], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.libvirtd("up")

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.directory}/run/libvirt-sock"

    @property
    def pid(self) -> int:
        return self._process.pid

    def libvirtd(self, command: str) -> None:
        """up, kill (at once), down (in order), stop (it answers nothing) or continue; returns when it is so."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            pytest.fail(f"the test's host {self.name} died; see {self.directory}/log/libvirtd.log")

    def driver(self, **options: Any) -> LibvirtDriver:
        """A driver for this host as an operator would configure it; group__option sets more."""
        conf = load([], [])
        settings = {
            "host": self.name,
            "instances_path": str(self.instances),
            "libvirt__connection_uri": self.uri,
            "libvirt__device_detach_timeout": 3,
            "libvirt__device_detach_attempts": 2,
        } | options
        for key, value in settings.items():
            group, _, name = key.rpartition("__")
            conf.set_override(name, value, group or None)
        return LibvirtDriver(conf)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """This thread is on the host's network inside: its bridges, its consoles."""
        with open("/proc/self/ns/net") as own, open(f"/proc/{self.pid}/ns/net") as other:
            _enter(other.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    def kill_qemu(self, guest_uuid: str) -> None:
        self.signal_qemu(guest_uuid, signal.SIGKILL)

    def signal_qemu(self, guest_uuid: str, number: signal.Signals) -> None:
        own = os.readlink(f"/proc/{self.pid}/ns/net")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().split(b"\0")
                is_here = os.readlink(path.with_name("ns") / "net") == own
                if is_here and b"qemu-system" in words[0] and guest_uuid.encode() in b" ".join(words):
                    os.kill(int(path.parent.name), number)

    def virsh(self, *words: str) -> str:
        """What an operator does behind the driver's back."""
        return subprocess.run(
            ["virsh", "-q", "-c", self.uri, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    def sweep(self) -> None:
        for name in self.virsh("list", "--all", "--name").split():
            with contextlib.suppress(subprocess.CalledProcessError):
                self.virsh("destroy", name)
            self.virsh("undefine", name, "--managed-save", "--nvram")
        shutil.rmtree(self.instances, ignore_errors=True)
        subprocess.run(["ip", "link", "del", "brtest"], capture_output=True)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(90)

    def _configure(self) -> None:
        # As root, so that pytest's private directories can be read; nothing here is trusted or not.
        (self.directory / "etc" / "qemu.conf").write_text(
            'user = "root"\ngroup = "root"\nsecurity_driver = "none"\ncgroup_controllers = []\nstdio_handler = "logd"\n'
        )
        (self.directory / "etc" / "libvirtd.conf").write_text(
            f'host_uuid = "{uuid.uuid4()}"\nauth_unix_rw = "none"\nlog_outputs = "2:file:/var/log/libvirt/libvirtd.log"\n'
        )


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _require_hypervisor() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.fail(f"these tests run real guests and miss {', '.join(missing)}: install libvirt-daemon-system, "
                    "qemu-system-x86, qemu-utils and genisoimage")  # fmt: skip
    if os.geteuid() != 0:
        pytest.fail("these tests run a libvirtd of their own, which only root can")
    if Path("/dev/kvm").exists():
        # libvirtd examines every QEMU anew at each start, for a minute, while this is not as Debian has it.
        shutil.chown("/dev/kvm", group="kvm")
        Path("/dev/kvm").chmod(0o660)


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    _require_hypervisor()
    cache = request.config.cache.mkdir("libvirt-capabilities")
    directory = tmp_path_factory.mktemp("hypervisors")
    with contextlib.ExitStack() as hosts:

        def make(name: str) -> HypervisorHost:
            host = HypervisorHost(directory / name, name, Path(cache))
            hosts.callback(host.close)
            return host

        yield make


@pytest.fixture(scope="session")
def first_host(make_host: Callable[[str], HypervisorHost]) -> HypervisorHost:
    return make_host("host-1")


@pytest.fixture
def host(first_host: HypervisorHost) -> Iterator[HypervisorHost]:
    """A hypervisor host without guests, whose network the test is on."""
    with first_host.network():
        yield first_host
        first_host.libvirtd("up") if not _answers(first_host) else None
        first_host.sweep()


@pytest.fixture
def driver(host: HypervisorHost) -> LibvirtDriver:
    started = host.driver()
    started.start()
    return started


@pytest.fixture(scope="session")
def second_host(make_host, first_host):
    """A host on a wire to the first."""
    host = make_host("host-2")
    wire = ["ip", "link", "add", "wire", "netns", str(first_host.pid), "type", "veth"]
    subprocess.run([*wire, "peer", "name", "wire", "netns", str(host.pid)], check=True)
    for one, address in ((first_host, "198.51.100.1"), (host, "198.51.100.2")):
        with one.network():
            subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", "wire"], check=True)
            subprocess.run(["ip", "link", "set", "wire", "up"], check=True)
    return host


@pytest.fixture
def pair(host, second_host):
    """Drivers of two hosts that reach each other's libvirtd."""
    source = host.driver(my_ip="198.51.100.1", libvirt__live_migration_uri=uri_of_any_host(second_host))
    destination = second_host.driver(my_ip="198.51.100.2", libvirt__live_migration_uri=uri_of_any_host(host))
    source.start()
    with second_host.network():
        destination.start()
    yield source, destination
    with second_host.network():
        second_host.sweep()


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """A raw image of 1 MiB that boots the tests' operating system."""
    path = tmp_path / "image.raw"
    path.write_bytes((HERE / "guest.bin").read_bytes().ljust(1 << 20, b"\0"))
    return path


@pytest.fixture
def make_spec(image_file: Path) -> Callable[..., GuestSpec]:
    """A guest with a root disk and a network device; keywords replace fields, extra_specs and properties add."""
    count = iter(range(1, 100))

    def make(extra_specs: dict[str, str] | None = None, properties: dict[str, str] | None = None, **changes: Any):
        number = next(count)
        root = Disk(kind="root", device_name="/dev/vda", image_path=str(image_file), image_format="raw", boot_index=0)
        spec = GuestSpec(
            uuid=str(uuid.uuid4()),
            name=f"instance-{number:08x}",
            display_name="first",
            project_id="project",
            user_id="user",
            flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32, extra_specs=extra_specs or {}),
            image=Image(id="image", disk_format="raw", properties=properties or {}),
            disks=(root,),
            vifs=(make_vif(number),),
        )
        return msgspec.structs.replace(spec, **changes)

    return make


def make_vif(number: int = 1, **changes: Any) -> Vif:
    vif = Vif(
        port_id=str(uuid.uuid4()),
        network_id=str(uuid.uuid4()),
        network_label="private",
        mac=f"fa:16:3e:00:00:{number:02x}",
        details={"bridge_name": "brtest"},
    )
    return msgspec.structs.replace(vif, **changes)


@pytest.fixture(name="make_vif")
def make_vif_fixture() -> Callable[..., Vif]:
    return make_vif


@pytest.fixture
def wait_for_output(driver: LibvirtDriver) -> Callable[..., str]:
    """Wait until the guest has written text so many times; everything it wrote."""

    def wait(guest_uuid: str, text: str, times: int = 1, by: LibvirtDriver = driver) -> str:
        def output() -> str:
            return by.console_output(guest_uuid, 65536).decode()

        if not concurrency.wait_for(lambda: output().count(text) >= times, 60, interval_s=0.05):
            pytest.fail(f"the guest did not write {text!r} {times} times, but {output()!r}")
        return output()

    return wait


@pytest.fixture
def grace() -> datetime.timedelta:
    """As long as a guest that obeys never takes."""
    return datetime.timedelta(seconds=60)


def _answers(host: HypervisorHost) -> bool:
    return (host.directory / "run" / "libvirt-sock").exists()


def uri_of_any_host(host: HypervisorHost) -> str:
    """Hosts' directories are named after them: what live_migration_uri is for hosts with names."""
    return host.uri.replace(f"/{host.name}/", "/%s/")
