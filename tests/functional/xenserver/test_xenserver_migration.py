"""Guests that move between the hosts of a pool while they run."""

import msgspec
import pytest

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.instance import PowerState


@pytest.fixture
def pool(make_pool):
    return make_pool(hosts=("xen1", "xen2"))


@pytest.fixture
def source(pool, make_driver):
    return make_driver(pool, "xen1")


@pytest.fixture
def destination(pool, make_driver):
    return make_driver(pool, "xen2")


@pytest.fixture
def spec(source, make_spec):
    """A guest that runs on the source."""
    spec = make_spec()
    source.create(spec)
    return spec


@pytest.fixture
def there(spec):
    """The same guest as its destination knows it."""
    return msgspec.structs.replace(spec, disks_id=DisksId(generation=2, host="xen2"), moves_from=spec.disks_id)


def go_on(percent):
    return True


def resident(pool, spec):
    (vm,) = (r for r in pool.store.all("VM").values() if r["other_config"].get("nova:name") == spec.uuid)
    return next(name for name, ref in pool.hosts.items() if ref == vm["resident_on"])


def test_guest_moves_and_is_its_new_hosts(source, destination, pool, spec, there):
    facts = destination.prepare_destination(there)

    for _ in range(2):
        source.migrate(spec, "xen2", facts, go_on)

    assert resident(pool, spec) == "xen2"
    assert source.guests() == () and source.held_disks() == ()
    assert destination.guest(spec.uuid).power_state is PowerState.RUNNING
    assert destination.has_arrived(spec.uuid)
    (held,) = destination.held_disks()
    assert held.mark.made_by == there.disks_id
    source.destroy(spec.uuid, spec.vifs, made_by=spec.disks_id)
    assert destination.guest(spec.uuid).power_state is PowerState.RUNNING


def test_guest_whose_source_died_when_it_had_moved_is_taken_by_its_destination(source, destination, pool, spec, there):
    facts = destination.prepare_destination(there)

    def die(name, make):
        if name == "VM.set_other_config" and resident(pool, spec) == "xen2":
            raise ConnectionError
        return make()

    pool.around = die
    with pytest.raises(errors.Unavailable):
        source.migrate(spec, "xen2", facts, go_on)
    pool.around = lambda name, make: make()

    with pytest.raises(errors.PointPassed):
        destination.abort_destination(there)
    assert destination.guest(spec.uuid).power_state is PowerState.RUNNING
    assert source.guests() == ()
    source.migrate(spec, "xen2", facts, go_on)


def test_migration_that_fails_leaves_the_guest_where_it_is(source, destination, client, pool, spec, there):
    facts = destination.prepare_destination(there)
    client.host.disable(pool.hosts["xen2"])

    with pytest.raises(errors.GuestStays):
        source.migrate(spec, "xen2", facts, go_on)

    assert not destination.has_arrived(spec.uuid)
    destination.abort_destination(there)
    assert source.guest(spec.uuid).power_state is PowerState.RUNNING
    assert destination.guests() == ()


def test_migration_is_not_begun_a_second_time(source, destination, pool, spec, there):
    facts = destination.prepare_destination(there)

    def lose(name, make):
        if name == "Async.VM.pool_migrate":
            raise ConnectionError
        return make()

    pool.around = lose
    with pytest.raises(errors.Unavailable):
        source.migrate(spec, "xen2", facts, go_on)
    pool.around = lambda name, make: make()
    with pytest.raises(errors.GuestStays):
        source.migrate(spec, "xen2", facts, go_on)

    assert pool.calls.count("VM.pool_migrate") == 0 and resident(pool, spec) == "xen1"
    assert source.guest(spec.uuid).power_state is PowerState.RUNNING


def test_paused_guest_stays(source, destination, pool, spec, there):
    facts = destination.prepare_destination(there)
    source.set_power(spec.uuid, PowerState.PAUSED)

    with pytest.raises(errors.GuestStays):
        source.migrate(spec, "xen2", facts, go_on, is_paused=True)

    assert resident(pool, spec) == "xen1"


def test_destination_that_has_the_guest_already_refuses(source, destination, spec, there):
    source.migrate(spec, "xen2", destination.prepare_destination(there), go_on)

    with pytest.raises(errors.HostRefused):
        destination.prepare_destination(there)

    assert destination.guest(spec.uuid).power_state is PowerState.RUNNING


def test_guest_on_storage_that_the_destination_does_not_see_stays(make_pool, make_driver, make_spec, pool, destination):
    storage = pool.add_storage("local", 10, "xen1")
    pool.store.change("SR", storage, other_config={"nova": "here"})
    source = make_driver(pool, "xen1", sr_matching_filter="other-config:nova=here")
    spec = make_spec()
    source.create(spec)
    there = msgspec.structs.replace(spec, disks_id=DisksId(generation=2, host="xen2"), moves_from=spec.disks_id)

    with pytest.raises(errors.GuestStays):
        source.migrate(spec, "xen2", destination.prepare_destination(there), go_on)

    assert source.guest(spec.uuid).power_state is PowerState.RUNNING
