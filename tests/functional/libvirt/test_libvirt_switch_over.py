"""libvirtds die while a guest changes hosts: it runs on exactly one of them afterwards, the one that is told."""

import threading
import time

import libvirt
import msgspec
import pytest

from nova import concurrency, errors
from nova.structs.disks import DisksId
from nova.structs.instance import PowerState
from nova.virt.libvirt import power, switch_over
from nova.virt.libvirt.connection import Connection


def arriving(spec):
    """What both hosts are told of the guest: whose it is to be."""
    return msgspec.structs.replace(spec, disks_id=DisksId(generation=2, host="host-2"), moves_from=spec.disks_id)


class Onlooker:
    """Sees at once when the destination takes the guest over."""

    def __init__(self, host, uuid):
        self._connection, self._uuid = libvirt.open(host.uri), uuid

    def sees_arrival(self):
        try:
            return bool(self._connection.lookupByUUIDString(self._uuid).isPersistent())
        except libvirt.libvirtError as error:
            # Another one may have killed the destination before this one looked.
            return error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN


def kill_at(victim, moment):
    """A thread that kills a libvirtd at once when moment() comes, and starts it again."""

    def run():
        deadline = time.monotonic() + 60
        while not moment() and time.monotonic() < deadline:
            time.sleep(0.001)
        victim.libvirtd("kill")
        victim.libvirtd("up")

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def migrate_until_it_is_known(source, spec, facts, progress=lambda percent: True):
    """What the conductor does: it asks again for as long as nobody knows. Whether the guest is on the destination."""
    for _ in range(100):
        try:
            source.migrate(arriving(spec), "host-2", facts, progress)
            return True
        except errors.Unavailable:
            time.sleep(0.2)
        except errors.GuestStays:
            return False
    raise AssertionError("nobody knows where the guest is")


def abort_until_it_is_done(destination, second_host, spec):
    """What the conductor does, and an operator: a QEMU that does not answer the libvirtd that came back is killed, and a
    libvirtd that believes for ever that a migration comes in is started anew."""

    def is_done():
        try:
            destination.abort_destination(arriving(spec), stays_away=True)
        except errors.DomainError as error:
            assert not isinstance(error, errors.PointPassed)
            second_host.kill_qemu(spec.uuid)
            if "state change lock" in f"{error.message} {error.details}":
                second_host.libvirtd("kill")
                second_host.libvirtd("up")
            return False
        return True

    assert concurrency.wait_for(is_done, 300, interval_s=1)


def state_on(driver, uuid):
    try:
        return driver.guest(uuid).power_state
    except errors.GuestNotFound:
        return None


@pytest.mark.parametrize("try_number", range(3))
@pytest.mark.parametrize("victim", ["source", "destination", "both"])
def test_guest_runs_on_one_host_whoever_dies_when_it_changes_hosts(
    pair, host, second_host, make_spec, victim, try_number
):
    source, destination = pair
    spec = make_spec(disks_id=DisksId(generation=1, host="host-1"))
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(arriving(spec))
    victims = {"source": [host], "destination": [second_host], "both": [host, second_host]}[victim]
    onlookers = [Onlooker(second_host, spec.uuid) for _ in victims]
    killers = [kill_at(one, onlooker.sees_arrival) for one, onlooker in zip(victims, onlookers, strict=True)]

    has_left = migrate_until_it_is_known(source, spec, facts)

    for killer in killers:
        killer.join()
    if has_left:
        assert concurrency.wait_for(lambda: state_on(destination, spec.uuid) == PowerState.RUNNING, 90)
        assert state_on(source, spec.uuid) != PowerState.RUNNING
        with second_host.network(), pytest.raises(errors.PointPassed):
            destination.abort_destination(arriving(spec))
        source.destroy(spec.uuid, spec.vifs)
        assert list(host.instances.iterdir()) == []
    else:
        assert state_on(source, spec.uuid) == PowerState.RUNNING
        with second_host.network():
            abort_until_it_is_done(destination, second_host, spec)
        assert state_on(destination, spec.uuid) is None
        assert list(second_host.instances.iterdir()) == []


@pytest.mark.parametrize("victim", ["source", "destination"])
def test_guest_stays_when_a_libvirtd_dies_while_it_is_copied(pair, host, second_host, make_spec, victim):
    source, destination = pair
    spec = make_spec(disks_id=DisksId(generation=1, host="host-1"))
    source.create(spec)
    with second_host.network():
        facts = destination.prepare_destination(arriving(spec))
    is_copied = threading.Event()
    killer = kill_at({"source": host, "destination": second_host}[victim], is_copied.is_set)
    host.virsh("migrate-setspeed", spec.uuid, "1")

    def progress(percent):
        is_copied.set()
        return True

    assert not migrate_until_it_is_known(source, spec, facts, progress)
    killer.join()

    assert state_on(source, spec.uuid) == PowerState.RUNNING
    with second_host.network():
        abort_until_it_is_done(destination, second_host, spec)
    assert state_on(destination, spec.uuid) is None


def test_host_on_which_nobody_could_tell_an_arrival_takes_no_guest(pair, second_host, make_spec):
    _, destination = pair
    spec = make_spec()
    with second_host.network():
        # An older release's: nothing says whose its disks are.
        destination.create(spec)

        with pytest.raises(errors.HostRefused, match="defined here"):
            destination.prepare_destination(arriving(spec))

    assert state_on(destination, spec.uuid) == PowerState.RUNNING


class LeavingConnection(Connection):
    """The source of a guest that leaves just when it has been found."""

    def find(self, uuid):
        domain = super().find(uuid)
        if domain is not None:
            power.remove(domain)
        return domain


def test_guest_that_leaves_while_it_is_looked_for_has_arrived(pair, host, second_host, make_spec):
    source, destination = pair
    spec = make_spec()
    source.create(spec)
    with second_host.network():
        destination.create(spec)
    here = LeavingConnection(host.uri)

    assert switch_over.settle(here, second_host.uri, spec.uuid, is_paused=False)

    here.close()
    assert source.guests() == ()
    assert destination.guest(spec.uuid).power_state == PowerState.RUNNING
