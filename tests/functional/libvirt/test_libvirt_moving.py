"""A guest that is off moves to another host or size, and back, its disks with it."""

import subprocess
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.guest import Disk, RebootKind
from nova.structs.image import Image
from nova.structs.instance import PowerState

# Where a guest's user wrote what, in its root disk.
PLACE, PRECIOUS = 512 << 10, b"precious"


@pytest.fixture
def stopped(pair, make_spec, wait_for_output):
    """A guest on the first host that has run and is off, with an ephemeral disk."""
    source, _ = pair
    spec = make_spec()
    ephemeral = Disk(kind="ephemeral", device_name="/dev/vdb", size_mb=8)
    spec = msgspec.structs.replace(spec, disks=(*spec.disks, ephemeral), config_drive={"a": b"b"})
    source.create(spec)
    wait_for_output(spec.uuid, "guest is up", by=source)
    source.set_power(spec.uuid, PowerState.SHUTDOWN)
    return spec


@pytest.mark.parametrize("is_shared", [False, True])
def test_guest_moves_to_another_host_and_grows(pair, host, second_host, stopped, wait_for_output, is_shared):
    source, destination = pair
    mark = b"what the user wrote"
    write_into(host.instances / stopped.uuid / "disk.eph0", mark)
    larger = msgspec.structs.replace(stopped, disks=(resized(stopped.disks[0], 9), *stopped.disks[1:]))

    facts = source.set_aside(stopped)
    assert source.set_aside(stopped) == facts
    with second_host.network():
        for _ in range(2):
            destination.take_over(larger, facts if is_shared else unseen(facts))
        assert destination.guest(stopped.uuid).power_state == PowerState.SHUTDOWN
        destination.set_power(stopped.uuid, PowerState.RUNNING)

    wait_for_output(stopped.uuid, "guest is up", by=destination)
    assert str(9 << 20) in second_host.virsh("domblkinfo", stopped.uuid, "vda")
    assert mark in (second_host.instances / stopped.uuid / "disk.eph0").read_bytes()
    assert source.guests() == ()
    for _ in range(2):
        source.forget_aside(stopped.uuid)
    assert list(host.instances.iterdir()) == []


def test_move_can_be_taken_back(pair, host, second_host, stopped, wait_for_output):
    source, destination = pair
    facts = source.set_aside(stopped)
    with second_host.network():
        destination.take_over(stopped, facts)
        destination.destroy(stopped.uuid, stopped.vifs)

    for _ in range(2):
        source.bring_back(stopped)

    assert source.guest(stopped.uuid).power_state == PowerState.SHUTDOWN
    source.set_power(stopped.uuid, PowerState.RUNNING)
    wait_for_output(stopped.uuid, "guest is up", by=source, times=2)
    assert [path.name for path in host.instances.iterdir()] == [stopped.uuid]
    assert list(second_host.instances.iterdir()) == []


def test_guest_grows_on_its_own_host_and_back(pair, host, stopped):
    source, _ = pair
    larger = msgspec.structs.replace(stopped, disks=(resized(stopped.disks[0], 9), *stopped.disks[1:]))

    facts = source.set_aside(stopped)
    source.take_over(larger, facts)
    assert str(9 << 20) in host.virsh("domblkinfo", stopped.uuid, "vda")
    assert source.set_aside(stopped) == facts
    assert len(source.guests()) == 1
    source.bring_back(stopped)

    assert str(1 << 20) in host.virsh("domblkinfo", stopped.uuid, "vda")
    assert [path.name for path in host.instances.iterdir()] == [stopped.uuid]


def test_image_that_lies_elsewhere_on_the_destination_is_found(pair, second_host, stopped, tmp_path, wait_for_output):
    source, destination = pair
    elsewhere = tmp_path / "elsewhere" / Path(stopped.disks[0].image_path).name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(open(stopped.disks[0].image_path, "rb").read())  # noqa: SIM115
    root = msgspec.structs.replace(stopped.disks[0], image_path=str(elsewhere))

    facts = source.set_aside(stopped)
    with second_host.network():
        moved = msgspec.structs.replace(stopped, disks=(root, *stopped.disks[1:]))
        destination.take_over(moved, unseen(facts))
        destination.set_power(stopped.uuid, PowerState.RUNNING)

    wait_for_output(stopped.uuid, "guest is up", by=destination)
    assert destination.images_in_use() == {str(elsewhere)}


@pytest.fixture
def unshelved(pair, host, make_spec, image_file, tmp_path, wait_for_output):
    """A running guest whose disk was made of another image than its record's, as unshelving does, with what its user wrote."""
    source, _ = pair
    spec = make_spec(disks_id=DisksId(generation=1, host="host-1"))
    shelved = tmp_path / "shelved"
    content = bytearray(image_file.read_bytes())
    content[PLACE : PLACE + len(PRECIOUS)] = PRECIOUS
    shelved.write_bytes(content)
    root = msgspec.structs.replace(spec.disks[0], image_path=str(shelved))
    source.create(msgspec.structs.replace(spec, disks=(root,), image=Image(id="shelved", disk_format="raw")))
    wait_for_output(spec.uuid, "guest is up", by=source)
    return spec


def arrives(spec):
    there = DisksId(generation=2, host="host-2")
    return msgspec.structs.replace(spec, disks_id=there, moves_from=spec.disks_id)


def content_of(host, spec):
    """What the guest would read where its user wrote."""
    disk = host.instances / spec.uuid / "disk"
    words = ["qemu-io", "-U", "-r", "-f", "qcow2", "-c", f"read -v {PLACE} {len(PRECIOUS)}", str(disk)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return bytes.fromhex("".join(said.split(":")[1].split("  ")[1].split()) if ":" in said else "")


@pytest.mark.parametrize("is_shared", [False, True])
def test_an_unshelved_guest_moves_with_what_was_written_before_it_was_shelved(
    pair, host, second_host, unshelved, wait_for_output, is_shared
):
    source, destination = pair
    source.set_power(unshelved.uuid, PowerState.SHUTDOWN)

    facts = source.set_aside(unshelved)
    with second_host.network():
        destination.take_over(arrives(unshelved), facts if is_shared else unseen(facts))
        destination.set_power(unshelved.uuid, PowerState.RUNNING)

    wait_for_output(unshelved.uuid, "guest is up", by=destination)
    assert content_of(second_host, unshelved) == PRECIOUS
    with second_host.network():
        destination.destroy(unshelved.uuid, unshelved.vifs)
    source.bring_back(unshelved)
    assert content_of(host, unshelved) == PRECIOUS


def test_an_unshelved_guest_moves_live_with_it_too(pair, second_host, unshelved):
    source, destination = pair
    there = arrives(unshelved)
    with second_host.network():
        facts = destination.prepare_destination(there)

    source.migrate(there, "host-2", facts, lambda percent: True)

    assert destination.guest(unshelved.uuid).power_state == PowerState.RUNNING
    assert content_of(second_host, unshelved) == PRECIOUS


def test_a_disk_that_an_older_source_did_not_make_whole_is_refused(pair, host, second_host, unshelved):
    source, destination = pair
    source.set_power(unshelved.uuid, PowerState.SHUTDOWN)
    own = (host.instances / unshelved.uuid / "disk").read_bytes()
    facts = source.set_aside(unshelved)
    (host.instances / f"{unshelved.uuid}.aside" / "disk").write_bytes(own)

    with second_host.network(), pytest.raises(errors.HostRefused, match="another image"):
        destination.take_over(arrives(unshelved), facts)

    source.bring_back(unshelved)
    assert content_of(host, unshelved) == PRECIOUS


def test_destination_that_cannot_reach_the_source_keeps_nothing(pair, host, second_host, stopped):
    source, destination = pair
    facts = source.set_aside(stopped)
    host.libvirtd("kill")

    with second_host.network(), pytest.raises(errors.Unavailable):
        destination.take_over(stopped, unseen(facts))

    host.libvirtd("up")
    assert list(second_host.instances.iterdir()) == []
    source.bring_back(stopped)
    assert source.guest(stopped.uuid).power_state == PowerState.SHUTDOWN


def test_definition_that_was_lost_while_coming_back_is_made_anew(pair, host, stopped):
    source, _ = pair
    source.set_aside(stopped)
    source.bring_back(stopped)
    host.virsh("undefine", stopped.uuid)

    source.bring_back(stopped)

    assert source.guest(stopped.uuid).power_state == PowerState.SHUTDOWN


def test_guest_that_is_not_there_cannot_be_put_aside(pair, make_spec):
    with pytest.raises(errors.DiskMissing):
        pair[0].set_aside(make_spec())


def test_a_guest_that_is_not_there_is_not_brought_back(pair, make_spec):
    spec = make_spec()

    with pytest.raises(errors.DiskMissing):
        pair[0].bring_back(spec)
    pair[0].forget_aside(spec.uuid)

    assert pair[0].guests() == ()


def test_guest_whose_image_is_gone_starts_and_moves_by_its_disk(
    pair, host, second_host, stopped, image_file, wait_for_output
):
    source, destination = pair
    moved = without_image(stopped)
    image = image_file.rename(image_file.with_name("what the disk stands on"))
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", image]
    subprocess.run([*rebase, host.instances / stopped.uuid / "disk"], check=True)
    source.reboot(moved, RebootKind.HARD, timedelta())
    wait_for_output(stopped.uuid, "guest is up", by=source)
    source.set_power(stopped.uuid, PowerState.SHUTDOWN)

    facts = source.set_aside(moved)
    image.unlink()
    with second_host.network():
        destination.take_over(moved, unseen(facts))
        destination.set_power(stopped.uuid, PowerState.RUNNING)

    wait_for_output(stopped.uuid, "guest is up", by=destination)


def test_disk_does_not_move_to_where_the_image_it_stands_on_is_not(pair, host, second_host, stopped):
    source, destination = pair
    facts = source.set_aside(stopped)

    with second_host.network(), pytest.raises(errors.ImageNotFound):
        destination.take_over(without_image(stopped), unseen(facts))

    assert list(second_host.instances.iterdir()) == []
    source.bring_back(stopped)
    source.set_power(stopped.uuid, PowerState.RUNNING)


def test_disk_is_not_made_of_an_image_that_is_gone(pair, host, make_spec):
    source, _ = pair
    with pytest.raises(errors.ImageNotFound):
        source.create(without_image(make_spec()))

    assert (source.guests(), list(host.instances.iterdir())) == ((), [])


def without_image(spec):
    """As for a host that does not have the server's image, after it was deleted."""
    root = msgspec.structs.replace(spec.disks[0], image_path=None, image_format=None, missing_image="image")
    return msgspec.structs.replace(spec, disks=(root, *spec.disks[1:]))


def unseen(facts):
    """As for a destination that has no file system in common with the source; these two have this machine's."""
    return facts | {"token": "of a file the destination does not see"}


def resized(disk, size_mb):
    return msgspec.structs.replace(disk, size_mb=size_mb)


def write_into(path, mark):
    with path.open("r+b") as file:
        file.seek(5 << 20)
        file.write(mark)
