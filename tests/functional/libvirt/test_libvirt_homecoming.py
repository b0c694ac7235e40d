"""A server leaves its host by each kind of move, and comes home: it has what it wrote last, not what lay there."""

import msgspec
import pytest

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.guest import Disk
from nova.structs.instance import PowerState

HOSTS = ("host-1", "host-2")


@pytest.fixture
def server(make_spec):
    """A server with an ephemeral disk, by the number of its placement and the side it lives on (0 or 1)."""
    spec = make_spec()
    ephemeral = Disk(kind="ephemeral", device_name="/dev/vdb", size_mb=8)
    spec = msgspec.structs.replace(spec, disks=(*spec.disks, ephemeral))

    def place(generation, side, comes_from=None):
        before = None if comes_from is None else DisksId(generation=comes_from[0], host=HOSTS[comes_from[1]])
        here = DisksId(generation=generation, host=HOSTS[side])
        return msgspec.structs.replace(spec, disks_id=here, moves_from=before)

    return place


@pytest.fixture
def moves(pair, host, second_host):
    return Moves(pair, (host, second_host))


class Moves:
    """What the steps of each move do on the two hosts."""

    def __init__(self, drivers, hosts):
        self.drivers, self.hosts = drivers, hosts

    def disk(self, side, spec):
        return self.hosts[side].instances / spec.uuid / "disk.eph0"

    def write(self, side, spec, text):
        """As the guest would, which is off."""
        with self.disk(side, spec).open("r+b") as file:
            file.seek(4 << 20)
            file.write(text.encode().ljust(64))

    def read(self, side, spec):
        with self.disk(side, spec).open("rb") as file:
            file.seek(4 << 20)
            return file.read(64).decode().strip("\0 ")

    def power(self, side, spec, state):
        with self.hosts[side].network():
            self.drivers[side].set_power(spec.uuid, state)

    def die(self, side, spec):
        """The host loses power: its guests are off, its files stay."""
        self.hosts[side].kill_qemu(spec.uuid)
        self.hosts[side].libvirtd("kill")
        self.hosts[side].libvirtd("up")

    def evacuate(self, to, spec):
        with self.hosts[to].network():
            self.drivers[to].create(spec)
        self.power(to, spec, PowerState.SHUTDOWN)

    def cold(self, to, old, new):
        source, destination = self.drivers[1 - to], self.drivers[to]
        with self.hosts[1 - to].network():
            facts = source.set_aside(old)
        with self.hosts[to].network():
            destination.take_over(new, facts)
        with self.hosts[1 - to].network():
            source.forget_aside(new.uuid)

    def live(self, to, old, new):
        source, destination = self.drivers[1 - to], self.drivers[to]
        self.power(1 - to, old, PowerState.RUNNING)
        with self.hosts[to].network():
            facts = destination.prepare_destination(new)
        with self.hosts[1 - to].network():
            source.migrate(new, HOSTS[to], facts, lambda percent: True)
            source.destroy(new.uuid, new.vifs, made_by=old.disks_id)
        self.power(to, new, PowerState.SHUTDOWN)
        return facts


@pytest.mark.parametrize("how", ["cold", "live"])
def test_server_evacuated_from_a_dead_host_comes_home_with_what_it_wrote_away(moves, server, how):
    at_home = server(1, 0)
    moves.drivers[0].create(at_home)
    moves.power(0, at_home, PowerState.SHUTDOWN)
    moves.write(0, at_home, "before the evacuation")
    moves.die(0, at_home)
    away = server(2, 1, comes_from=(1, 0))
    moves.evacuate(1, away)
    assert moves.read(1, away) == ""
    moves.write(1, away, "written away")

    home_again = server(3, 0, comes_from=(2, 1))
    getattr(moves, how)(0, server(2, 1), home_again)

    assert moves.read(0, home_again) == "written away"
    assert list(moves.hosts[1].instances.iterdir()) == []
    # The old disks are kept until the record says that the server is whole without them.
    left = [held for held in moves.drivers[0].held_disks() if held.place == "left"]
    assert [held.mark.made_by for held in left] == [at_home.disks_id]
    moves.drivers[0].remove_held_disks(left[0])
    assert [path.name for path in moves.hosts[0].instances.iterdir()] == [at_home.uuid]


@pytest.mark.parametrize("home", ["cold", "live"])
@pytest.mark.parametrize("away", ["cold", "live"])
def test_server_that_moved_away_comes_home_with_what_it_wrote_away(moves, server, away, home):
    at_home = server(1, 0)
    moves.drivers[0].create(at_home)
    moves.power(0, at_home, PowerState.SHUTDOWN)
    moves.write(0, at_home, "at home")

    there = server(2, 1, comes_from=(1, 0))
    getattr(moves, away)(1, at_home, there)
    assert moves.read(1, there) == "at home"
    moves.write(1, there, "written away")
    home_again = server(3, 0, comes_from=(2, 1))
    getattr(moves, home)(0, server(2, 1), home_again)

    assert moves.read(0, home_again) == "written away"
    assert [path.name for path in moves.hosts[0].instances.iterdir()] == [at_home.uuid]


def test_disks_on_shared_storage_are_evacuated_with_their_data_and_survive_an_undo(moves, server, host, second_host):
    at_home = server(1, 0)
    moves.drivers[0].create(at_home)
    moves.power(0, at_home, PowerState.SHUTDOWN)
    moves.write(0, at_home, "the only copy")
    moves.die(0, at_home)
    destination = second_host.driver(my_ip="198.51.100.2", instances_path=str(host.instances))
    away = server(2, 1, comes_from=(1, 0))

    with second_host.network():
        destination.create(away)
        assert destination.guest(away.uuid).power_state == PowerState.RUNNING
        destination.destroy(away.uuid, away.vifs, made_by=away.disks_id)
    assert moves.read(0, at_home) == "the only copy"
    with second_host.network():
        destination.create(server(3, 1, comes_from=(1, 0)))
        destination.set_power(away.uuid, PowerState.SHUTDOWN)

    assert moves.read(0, at_home) == "the only copy"
    # What the returned host may still be told to remove is not what lies there now.
    moves.drivers[0].destroy(at_home.uuid, at_home.vifs, made_by=at_home.disks_id)
    assert moves.read(0, at_home) == "the only copy"


def test_evacuation_onto_shared_storage_without_the_disk_makes_none(moves, server, host, second_host):
    at_home = server(1, 0)
    moves.drivers[0].create(at_home)
    moves.die(0, at_home)
    (host.instances / at_home.uuid / "disk").unlink()
    destination = second_host.driver(my_ip="198.51.100.2", instances_path=str(host.instances))

    with second_host.network(), pytest.raises(errors.DiskMissing):
        destination.create(server(2, 1, comes_from=(1, 0)))

    assert not (host.instances / at_home.uuid / "disk").exists()
    [held] = moves.drivers[0].held_disks()
    assert held.mark.made_by == at_home.disks_id


def test_live_migration_proves_that_hosts_share_their_storage(moves, server, second_host, tmp_path):
    """The destination has a directory that passes for the source's, and is not."""
    at_home = server(1, 0)
    moves.drivers[0].create(at_home)
    with second_host.network():
        moves.drivers[1].create(server(1, 0))
        moves.drivers[1].destroy(at_home.uuid, at_home.vifs, keep_disks=True)
        facts = moves.drivers[1].prepare_destination(server(2, 1, comes_from=(1, 0)))

    assert facts["is_shared"]
    with pytest.raises(errors.GuestFailed, match="other disks"):
        moves.drivers[0].migrate(server(2, 1, comes_from=(1, 0)), "host-2", facts, lambda percent: True)
    assert moves.drivers[0].guest(at_home.uuid).power_state == PowerState.RUNNING
    with second_host.network():
        moves.drivers[1].abort_destination(server(2, 1, comes_from=(1, 0)))
    assert moves.drivers[1].held_disks()[0].mark.made_by == at_home.disks_id
