"""Fake guests that outlive the process of their nova-compute: guests, disks, boots and images are as they were."""

from datetime import timedelta

import pytest

from nova import conf as configuration
from nova.structs.disks import DisksId
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec, RebootKind
from nova.structs.image import Image
from nova.structs.instance import PowerState
from nova.virt.fake import FakeDriver

UUID = "8ae9fd30-6ee9-4ad5-b1c4-6a0e2b6a3a11"


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Begin a process: it has nothing but what lies in the directory."""
    conf = configuration.load([], [])
    conf.set_override("fake_state_path", str(tmp_path / "fake"))

    def begin():
        monkeypatch.setattr("nova.virt.fake.driver.HYPERVISORS", {})
        monkeypatch.setattr("nova.virt.fake.disks._images", {})
        return [FakeDriver(conf, name) for name in ("host-1", "host-2")]

    return begin


def spec(host="host-1", generation=1, image="tiny", **changes):
    return GuestSpec(
        uuid=UUID,
        name="instance-1",
        display_name="one",
        project_id="p",
        user_id="u",
        flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=1),
        image=Image(id=image, disk_format="raw"),
        disks=(Disk(kind="root", device_name="/dev/vda", size_mb=1),),
        config_drive={"openstack/content/0000": b"\xff\x00"},
        disks_id=DisksId(host=host, generation=generation),
        **changes,
    )


def boots(driver):
    return driver.console_output(UUID, 1000).decode().count("of this disk")


def test_guest_goes_on_after_its_process_was_killed(process):
    first, _ = process()
    first.create(spec())
    first.reboot(spec(), RebootKind.HARD, timedelta())

    again, _ = process()

    assert again.guest(UUID).power_state is PowerState.RUNNING
    assert again.console_output(UUID, 1000).decode().endswith("boot 2 of this disk\n")
    again.create(spec())
    assert boots(again) == 2
    again.set_power(UUID, PowerState.SHUTDOWN)
    again, _ = process()
    assert again.guest(UUID).power_state is PowerState.SHUTDOWN
    again.set_power(UUID, PowerState.RUNNING)
    assert again.console_output(UUID, 1000).decode().endswith("boot 3 of this disk\n")


def test_disk_counts_on_where_it_moves_and_is_nowhere_else(process):
    source, destination = process()
    source.create(spec())
    there = spec("host-2", 2, moves_from=DisksId(host="host-1", generation=1))
    facts = destination.prepare_destination(there)
    source.migrate(there, "host-2", facts, lambda percent: True)

    source, destination = process()

    assert source.guests() == ()
    assert [guest.uuid for guest in destination.guests()] == [UUID]
    destination.reboot(there, RebootKind.HARD, timedelta())
    assert destination.console_output(UUID, 1000).decode().endswith("boot 2 of this disk\n")


def test_image_of_a_disk_is_known_to_the_next_process(process, tmp_path):
    driver, _ = process()
    driver.create(spec())
    image = "0b7de15a-94c3-4f28-9a1c-1b2c3d4e5f60"
    driver.snapshot(UUID, tmp_path / f"part-{image}", "raw")
    driver.destroy(UUID, made_by=DisksId(host="host-1", generation=1))

    driver, _ = process()

    assert driver.guests() == ()
    assert driver.held_disks() == ()
    driver.create(spec(generation=2, image=image))
    assert driver.console_output(UUID, 1000).decode().endswith("boot 2 of this disk\n")


def test_without_a_directory_a_process_keeps_nothing(process, monkeypatch):
    conf = configuration.load([], [])
    monkeypatch.setattr("nova.virt.fake.driver.HYPERVISORS", {})
    FakeDriver(conf, "host-1").create(spec())

    monkeypatch.setattr("nova.virt.fake.driver.HYPERVISORS", {})

    assert FakeDriver(conf, "host-1").guests() == ()
