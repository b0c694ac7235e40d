"""What a running guest has stays connected, whatever is done again and fails this time."""

import contextlib
import xml.etree.ElementTree as ET

import libvirt
import pytest

from nova import errors
from nova.structs.flavor import Flavor
from nova.structs.guest import GuestSpec
from nova.virt.libvirt.driver import LibvirtDriver
from tests.unit.virt.libvirt.test_volumes import brick, conf, volume  # noqa: F401 - fixtures


class Domain:
    """A guest that runs, or is off, and takes what it is given; refuses: its hypervisor does not take it."""

    def __init__(self):
        self.now, self.later = [], []
        self.is_on = True
        self.refuses = False

    def isActive(self):  # noqa: N802 - libvirt's name
        return self.is_on

    def XMLDesc(self, flags):  # noqa: N802
        disks = self.later if flags & libvirt.VIR_DOMAIN_XML_INACTIVE else self.now
        return f"<domain><devices>{''.join(disks)}</devices></domain>"

    def state(self):
        return (libvirt.VIR_DOMAIN_RUNNING, 0)

    def attachDeviceFlags(self, text, flags):  # noqa: N802
        if flags & libvirt.VIR_DOMAIN_AFFECT_LIVE and self.refuses:
            raise errors.GuestFailed(reason="no free slot")
        (self.now if flags & libvirt.VIR_DOMAIN_AFFECT_LIVE else self.later).append(text)

    def detachDeviceFlags(self, text, flags):  # noqa: N802
        disks = self.now if flags & libvirt.VIR_DOMAIN_AFFECT_LIVE else self.later
        disks[:] = [disk for disk in disks if target(disk) != target(text)]


def target(text):
    return ET.fromstring(text).find("target").get("dev")


@pytest.fixture
def domain():
    return Domain()


@pytest.fixture
def driver(conf, domain, brick, monkeypatch):  # noqa: F811 - fixtures
    driver = LibvirtDriver(conf, "host-1")
    for name in ("find", "domain"):
        monkeypatch.setattr(driver._connection, name, lambda uuid: domain)
    return driver


def test_an_attachment_done_again_does_not_pull_the_volume(driver, brick):  # noqa: F811
    disk = volume("iscsi", volume_id="v")
    driver.attach_volume("one", disk)
    brick.connect_volume = None

    with pytest.raises(errors.GuestFailed):
        driver.attach_volume("one", disk)

    assert brick.told == [("connect", "v")]


def test_a_definition_that_fails_does_not_pull_the_volumes_of_a_running_guest(driver, brick):  # noqa: F811
    disk = volume("iscsi", volume_id="v")
    driver.attach_volume("one", disk)
    spec = GuestSpec(
        uuid="one",
        name="instance-1",
        display_name="first",
        project_id="project",
        user_id="user",
        flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
        disks=(disk,),
    )
    brick.connect_volume = None

    with pytest.raises(errors.GuestFailed), contextlib.ExitStack() as undo:
        driver._definitions.define(spec, undo)

    assert brick.told == [("connect", "v")]


def test_a_volume_that_the_guest_does_not_take_is_disconnected_also_where_it_was_connected(
    driver,
    domain,
    brick,  # noqa: F811
):
    disk = volume("iscsi", volume_id="v")
    # Of a nova-compute that was killed behind it.
    driver._volumes.connect("one", disk)
    domain.refuses = True

    with pytest.raises(errors.GuestFailed):
        driver.attach_volume("one", disk)

    assert brick.told[-1] == ("disconnect", "v", "/dev/sdx")
    assert not driver._volumes.is_connected("one", disk)
