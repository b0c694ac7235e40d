"""A XenServer pool for tests, with real guests, and drivers for its hosts."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import XenAPI

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
