"""A running guest moves between two hosts, each a libvirtd with a network of its own."""

import os
import threading
import uuid

import msgspec
import pytest

from nova import concurrency, errors
from nova.structs.guest import Disk
from nova.structs.instance import PowerState
from tests.functional.libvirt.conftest import uri_of_any_host
from tests.functional.libvirt.test_libvirt_volume_snapshots import at, volume

__all__ = ("volume",)


@pytest.fixture
def slow_guest(pair, host, make_spec):
    """A guest on the first host that takes seconds to move: its disk is full, and its way narrow."""
    source, _ = pair
    spec = make_spec()
    spec = msgspec.structs.replace(spec, disks=(*spec.disks, Disk(kind="blank", device_name="/dev/vdb", size_mb=8)))
    source.create(spec)
    (host.instances / spec.uuid / "disk.blank0").write_bytes(os.urandom(8 << 20))
    host.virsh("migrate-setspeed", spec.uuid, "1")
    return spec


def test_guest_moves_with_its_disks_while_it_runs(pair, host, second_host, make_spec, wait_for_output):
    source, destination = pair
    spec = with_swap(make_spec())
    source.create(spec)
    wait_for_output(spec.uuid, "guest is up", by=source)
    percents = []

    with second_host.network():
        facts = destination.prepare_destination(spec)
        assert destination.prepare_destination(spec) == facts
    source.migrate(spec, "host-2", facts, lambda percent: percents.append(percent) is None)

    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING
    assert source.guests() == ()
    assert all(0 <= percent < 100 for percent in percents)
    wait_for_output(spec.uuid, ".", by=destination)
    assert "guest is up" not in destination.console_output(spec.uuid, 1000).decode()
    source.destroy(spec.uuid, spec.vifs)
    assert list(host.instances.iterdir()) == []


def test_guest_moves_with_its_disks_and_stays_on_its_volume(pair, second_host, make_spec, volume, tmp_path):
    source, destination = pair
    spec = make_spec()
    spec = msgspec.structs.replace(spec, disks=(*spec.disks, volume))
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(spec)

    source.migrate(spec, "host-2", facts, lambda percent: True)

    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING
    assert source.guests() == ()
    disks = second_host.virsh("domblklist", spec.uuid).splitlines()
    assert [line.split()[1] for line in disks] == [
        str(second_host.instances / spec.uuid / "disk"),
        str(tmp_path / "volume"),
    ]


def test_guest_moves_with_a_volume_that_took_another_s_place(pair, second_host, make_spec, volume, tmp_path):
    source, destination = pair
    (tmp_path / "new").write_bytes(b"\0" * (4 << 20))
    new = at(tmp_path / "new", str(uuid.uuid4()))
    spec = make_spec()
    source.create(spec)
    source.attach_volume(spec.uuid, volume)
    source.swap_volume(spec.uuid, volume, new)
    # There it lies elsewhere.
    (tmp_path / "there").symlink_to(tmp_path / "new")
    there = at(tmp_path / "there", new.volume.volume_id)
    with second_host.network():
        facts = destination.prepare_destination(msgspec.structs.replace(spec, disks=(*spec.disks, there)))

    source.migrate(spec, "host-2", facts, lambda percent: True)

    for when in ((), ("--inactive",)):
        assert str(tmp_path / "there") in second_host.virsh("domblklist", *when, spec.uuid)


def test_guest_that_moved_starts_again_on_its_new_host(pair, second_host, make_spec, wait_for_output):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    wait_for_output(spec.uuid, "guest is up", by=source)
    with second_host.network():
        facts = destination.prepare_destination(spec)
    source.migrate(spec, "host-2", facts, lambda percent: True)
    source.destroy(spec.uuid, spec.vifs)

    with second_host.network():
        destination.set_power(spec.uuid, PowerState.SHUTDOWN)
        destination.set_power(spec.uuid, PowerState.RUNNING)

    wait_for_output(spec.uuid, "guest is up", by=destination)


def test_moving_a_guest_that_has_moved_is_done(pair, second_host, make_spec):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(spec)
    source.migrate(spec, "host-2", facts, lambda percent: True)

    source.migrate(spec, "host-2", facts, lambda percent: True)

    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING


def test_guest_that_arrived_is_not_thrown_away(pair, second_host, make_spec):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(spec)
        source.migrate(spec, "host-2", facts, lambda percent: True)

        with pytest.raises(errors.PointPassed, match="arrived"):
            destination.abort_destination(spec)

    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING


def test_move_that_is_given_up_leaves_the_guest_where_it_was(pair, second_host, slow_guest):
    source, destination = pair
    spec = slow_guest
    with second_host.network():
        facts = destination.prepare_destination(spec)

    with pytest.raises(errors.Cancelled):
        source.migrate(spec, "host-2", facts, lambda percent: False)
    with second_host.network():
        destination.abort_destination(spec)
        destination.abort_destination(spec)

    assert source.guest(spec.uuid).power_state == PowerState.RUNNING
    assert destination.guests() == ()
    assert list(second_host.instances.iterdir()) == []


def test_guest_stays_when_the_destination_is_not_there(pair, second_host, make_spec):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(spec)
    second_host.libvirtd("kill")

    with pytest.raises(errors.DomainError):
        source.migrate(spec, "host-2", facts, lambda percent: True)

    second_host.libvirtd("up")
    with second_host.network():
        destination.abort_destination(spec)
    assert source.guest(spec.uuid).power_state == PowerState.RUNNING


def test_guest_stays_when_the_destination_dies_on_the_way(pair, second_host, slow_guest):
    source, destination = pair
    spec = slow_guest
    with second_host.network():
        facts = destination.prepare_destination(spec)

    def kill_destination(percent):
        second_host.kill_qemu(spec.uuid)
        return True

    with pytest.raises(errors.GuestFailed):
        source.migrate(spec, "host-2", facts, kill_destination)

    assert concurrency.wait_for(lambda: source.guest(spec.uuid).power_state == PowerState.RUNNING, 90)
    with second_host.network():
        destination.abort_destination(spec)
    assert list(second_host.instances.iterdir()) == []


def test_move_that_takes_too_long_can_be_forced(pair, second_host, slow_guest):
    source, destination = pair
    spec = slow_guest
    with second_host.network():
        facts = destination.prepare_destination(spec)
    forced = []

    def force_once(percent):
        if not forced:
            forced.append(source.force_complete(spec.uuid))
        return True

    source.migrate(spec, "host-2", facts, force_once)

    assert forced
    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING


def test_move_goes_on_when_nova_compute_is_started_again(pair, host, second_host, slow_guest):
    source, destination = pair
    spec = slow_guest
    with second_host.network():
        facts = destination.prepare_destination(spec)
    has_begun, percents = threading.Event(), []
    first = threading.Thread(
        target=source.migrate, args=(spec, "host-2", facts, lambda percent: has_begun.set() is None)
    )
    first.start()
    has_begun.wait(60)
    restarted = host.driver(my_ip="198.51.100.1", libvirt__live_migration_uri=uri_of_any_host(second_host))

    restarted.migrate(spec, "host-2", facts, lambda percent: percents.append(percent) is None)

    assert percents
    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING
    first.join()


def test_guest_that_does_not_move_cannot_be_forced_to(driver, make_spec):
    spec = make_spec()
    driver.create(spec)

    with pytest.raises(errors.GuestFailed, match="not being moved"):
        driver.force_complete(spec.uuid)


def test_guest_that_is_off_is_not_moved_live(pair, second_host, make_spec):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    source.set_power(spec.uuid, PowerState.SHUTDOWN)
    with second_host.network():
        facts = destination.prepare_destination(spec)

    with pytest.raises(errors.GuestFailed, match="does not run"):
        source.migrate(spec, "host-2", facts, lambda percent: True)

    with second_host.network():
        destination.abort_destination(spec)
    assert list(second_host.instances.iterdir()) == []


def test_guest_stays_when_its_host_does_not_know_the_destination_by_name(host, pair, second_host, make_spec):
    _, destination = pair
    source = host.driver(my_ip="198.51.100.1", libvirt__live_migration_uri="qemu+tcp://%s.invalid/system")
    spec = make_spec()
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(spec)

    with pytest.raises(errors.GuestStays) as caught:
        source.migrate(spec, "host-2", facts, lambda percent: True)

    assert "does not know the address" in caught.value.for_users
    assert "host-2.invalid" in caught.value.for_administrators
    assert "host-2" not in caught.value.for_users
    assert source.guest(spec.uuid).power_state == PowerState.RUNNING


def test_disks_that_hosts_share_are_neither_copied_nor_thrown_away(pair, host, second_host, make_spec, wait_for_output):
    source = pair[0]
    spec = make_spec()
    source.create(spec)
    wait_for_output(spec.uuid, "guest is up", by=source)
    destination = second_host.driver(my_ip="198.51.100.2", instances_path=str(host.instances))

    with second_host.network():
        facts = destination.prepare_destination(spec)
        source.migrate(spec, "host-2", facts, lambda percent: True)

    assert facts["is_shared"]
    source.destroy(spec.uuid, spec.vifs, keep_disks=True)
    assert (host.instances / spec.uuid / "disk").exists()
    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING


def with_swap(spec):
    return msgspec.structs.replace(spec, disks=(*spec.disks, Disk(kind="swap", device_name="/dev/vdb", size_mb=2)))
