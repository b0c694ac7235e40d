"""A XenServer pool for tests, with real guests, and drivers for its hosts."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import XenAPI

from nova.conf import load
from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.structs.image import Image
from nova.structs.network import Vif
from nova.virt.xenserver import XenAPIDriver
from tests.simulators.xenserver import Pool

GUEST = Path(__file__).parent.parent / "libvirt" / "guest.bin"


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[Callable[..., Pool]]:
    if shutil.which("qemu-system-x86_64") is None or shutil.which("qemu-img") is None:
        pytest.fail("these tests run real guests: install qemu-system-x86 and qemu-utils")
    pools = []

    def make(**options: Any) -> Pool:
        directory = tmp_path / f"pool-{len(pools)}"
        directory.mkdir()
        pools.append(Pool(directory=directory, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(make_pool: Callable[..., Pool]) -> Pool:
    """One host, one storage, one network."""
    return make_pool()


@pytest.fixture
def client(pool: Pool) -> Any:
    """The calls of a client that has logged in."""
    session = XenAPI.Session(pool.url)
    session.xenapi.login_with_password(pool.user, pool.password, "2.0", "tests")
    return session.xenapi


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """A raw image of 1 MiB that boots the tests' operating system."""
    path = tmp_path / "image.raw"
    path.write_bytes(GUEST.read_bytes().ljust(1 << 20, b"\0"))
    return path


@pytest.fixture
def make_driver(make_pool: Callable[..., Pool]) -> Callable[..., XenAPIDriver]:
    """A driver for a host of a pool, as an operator would configure it; keywords are options of [xenserver]."""

    def make(pool: Pool, name: str = "xen1", **options: Any) -> XenAPIDriver:
        conf = load([], [])
        conf.set_override("host", name)
        settings = {"connection_url": pool.url_of(name), "connection_password": pool.password, "request_timeout": 20}
        for key, value in (settings | options).items():
            conf.set_override(key, value, "xenserver")
        driver = XenAPIDriver(conf, name)
        driver.start()
        return driver

    return make


@pytest.fixture
def driver(pool: Pool, make_driver: Callable[..., XenAPIDriver]) -> XenAPIDriver:
    return make_driver(pool)


@pytest.fixture
def make_spec(image_file: Path) -> Callable[..., GuestSpec]:
    """A guest with a root disk and a network device; keywords replace fields, properties are the image's."""
    count = iter(range(1, 100))

    def make(properties: dict[str, str] | None = None, **changes: Any) -> GuestSpec:
        number = next(count)
        root = Disk(kind="root", device_name="/dev/vda", image_path=str(image_file), image_format="raw", boot_index=0)
        spec = GuestSpec(
            uuid=str(uuid.uuid4()),
            name=f"instance-{number:08x}",
            display_name="first",
            project_id="project",
            user_id="user",
            flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
            image=Image(id="image", disk_format="raw", properties=properties or {}),
            disks=(root,),
            vifs=(make_vif(number),),
            disks_id=DisksId(generation=1, host="xen1"),
        )
        return msgspec.structs.replace(spec, **changes)

    return make


def make_vif(number: int) -> Vif:
    return Vif(
        port_id=str(uuid.uuid4()),
        network_id=str(uuid.uuid4()),
        network_label="private",
        mac=f"fa:16:3e:00:00:{number:02x}",
        details={"bridge_name": "xenbr0"},
    )
