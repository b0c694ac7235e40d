"""Whose a directory of disks is, and what each step does with it."""

import contextlib

import pytest

from nova import errors
from nova.structs.disks import DisksId, Mark
from nova.structs.flavor import Flavor
from nova.structs.guest import Disk, GuestSpec
from nova.virt.fake.disks import FakeShelf
from nova.virt.holdings import Finding, Holdings
from nova.virt.libvirt.files import DiskOptions
from nova.virt.libvirt.shelf import DirectoryShelf
from nova.virt.libvirt.storage import Storage

UUID = "6f70656e-0000-4000-8000-000000000001"


def at(generation, host):
    return DisksId(generation=generation, host=host)


def mark(generation, host, **facts):
    return Mark(server=UUID, made_by=at(generation, host), **facts)


ROOT = (Disk(kind="root", device_name="vda"),)


def spec(generation=2, host="here", before=None, disks=ROOT):
    return GuestSpec(
        uuid=UUID,
        name="instance-1",
        display_name="one",
        project_id="project",
        user_id="user",
        flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
        disks=disks,
        disks_id=at(generation, host) if generation else None,
        moves_from=before,
    )


def shelf_with(*marks):
    """A shelf with the server's own directory, if a mark (or None) is given."""
    shelf = FakeShelf()
    for one in marks:
        shelf.make(UUID, one)
        shelf.fill(UUID, "written")
    return shelf


def claim(shelf, spec, **options):
    with contextlib.ExitStack() as undo:
        is_found = Holdings(shelf).claim(spec, undo, **options)
        undo.pop_all()
    return is_found


MOVE = spec(2, before=at(1, "there"))


@pytest.mark.parametrize(
    "marks, step, finding",
    [
        ((), MOVE, Finding.NOTHING),
        ((mark(2, "here"),), MOVE, Finding.OWN),
        ((mark(2, "here"),), spec(2), Finding.OWN),
        # The source's current disks on this host's path: the hosts share them.
        ((mark(1, "there"),), MOVE, Finding.SHARED),
        # An attempt to move to a third host found them before and was given up.
        ((mark(2, "third", found_as=at(1, "there")),), spec(3, before=at(1, "there")), Finding.SHARED),
        ((mark(2, "third", found_as=at(1, "there")),), spec(1, "there"), Finding.OWN),
        # The same number from another host is another attempt of one move.
        ((mark(2, "third"),), MOVE, Finding.LEFT_OVER),
        ((mark(1, "here"),), MOVE, Finding.LEFT_OVER),
        ((mark(3, "here"),), MOVE, Finding.NEWER),
        ((None,), MOVE, Finding.UNMARKED),
        ((None,), spec(2), Finding.OWN),
        ((None,), spec(2, before=at(1, "")), Finding.LEFT_OVER),
        # What an older release's conductor orders goes as it went with that release.
        ((mark(3, "there"),), spec(0), Finding.OWN),
    ],
)
def test_a_directory_is_known_by_its_mark(marks, step, finding):
    assert Holdings(shelf_with(*marks)).finding(step) is finding


def test_a_left_over_is_kept_under_another_name():
    shelf = shelf_with(mark(1, "here"))

    assert not claim(shelf, MOVE)

    [left] = [name for name in shelf.names() if name != UUID]
    assert (shelf.content(left), shelf.content(UUID)) == ("written", None)
    assert shelf.read_mark(UUID) == mark(2, "here")


def test_shared_disks_are_taken_over_and_given_back():
    shelf = shelf_with(mark(1, "there"))

    assert claim(shelf, MOVE)
    assert claim(shelf, MOVE)
    Holdings(shelf).release(UUID, at(2, "here"))

    assert (shelf.content(UUID), shelf.read_mark(UUID)) == ("written", mark(1, "there"))


def test_a_step_that_fails_leaves_shared_disks_as_they_were():
    shelf = shelf_with(mark(1, "there"))

    with contextlib.ExitStack() as undo:
        Holdings(shelf).claim(MOVE, undo)

    assert (shelf.content(UUID), shelf.read_mark(UUID)) == ("written", mark(1, "there"))


def test_a_step_that_fails_leaves_no_directory():
    shelf = shelf_with()

    with contextlib.ExitStack() as undo:
        Holdings(shelf).claim(MOVE, undo)

    assert shelf.names() == []


@pytest.mark.parametrize("marks", [(mark(3, "here"),), (None,)])
def test_what_may_be_the_only_copy_is_not_touched(marks):
    shelf = shelf_with(*marks)

    with pytest.raises((errors.GuestFailed, errors.HostRefused)):
        claim(shelf, MOVE)

    assert (shelf.names(), shelf.content(UUID), shelf.read_mark(UUID)) == ([UUID], "written", marks[0])


def test_disks_that_are_still_in_their_place_are_not_copied_over():
    with pytest.raises(errors.GuestFailed):
        claim(shelf_with(mark(1, "there")), MOVE, may_share=False)


def shelf_with_aside(aside, *marks):
    """A shelf with disks that were put aside, and the server's own directory where a mark is given."""
    shelf = shelf_with(aside)
    shelf.rename(UUID, f"{UUID}.aside")
    for one in marks:
        shelf.make(UUID, one)
        shelf.fill(UUID, "left over")
    return shelf


@pytest.mark.parametrize("marks", [(), (mark(2, "third"),)], ids=["alone", "beside-a-left-over"])
def test_shared_disks_that_a_broken_move_has_put_aside_are_taken_over_and_given_back(marks):
    shelf = shelf_with_aside(mark(1, "there"), *marks)

    assert claim(shelf, MOVE)
    assert claim(shelf, MOVE)
    assert (shelf.content(UUID), shelf.read_mark(UUID).made_by) == ("written", at(2, "here"))
    assert len(shelf.names()) == 1 + len(marks)
    Holdings(shelf).release(UUID, at(2, "here"))

    assert (shelf.content(UUID), shelf.read_mark(UUID)) == ("written", mark(1, "there"))


def test_a_step_that_fails_leaves_disks_aside_as_they_were():
    shelf = shelf_with_aside(mark(1, "there"))

    with contextlib.ExitStack() as undo:
        Holdings(shelf).claim(MOVE, undo)

    assert shelf.names() == [f"{UUID}.aside"]
    assert (shelf.content(f"{UUID}.aside"), shelf.read_mark(f"{UUID}.aside")) == ("written", mark(1, "there"))


@pytest.mark.parametrize("aside", [mark(3, "third"), None])
def test_disks_aside_that_may_be_the_only_ones_are_not_passed_over(aside):
    shelf = shelf_with_aside(aside)

    with pytest.raises((errors.GuestFailed, errors.HostRefused)):
        claim(shelf, MOVE)

    assert shelf.names() == [f"{UUID}.aside"]


@pytest.mark.parametrize(
    "aside, step, options",
    [
        (mark(1, "here"), MOVE, {}),
        (None, spec(2, before=at(1, "there"), disks=(Disk(kind="volume", device_name="vda"),)), {}),
        # They are copied from there.
        (mark(1, "there"), MOVE, {"may_share": False}),
        # They come with the guest that runs on them.
        (None, MOVE, {"trusts_unmarked": True}),
    ],
    ids=["left-over", "no-data", "cold", "live"],
)
def test_disks_aside_that_are_not_the_servers_stay_there(aside, step, options):
    shelf = shelf_with_aside(aside)

    assert not claim(shelf, step, **options)

    assert (shelf.content(UUID), shelf.content(f"{UUID}.aside")) == (None, "written")


def test_unproved_disks_are_unmarked_again():
    shelf = shelf_with(None)

    assert claim(shelf, MOVE, trusts_unmarked=True)
    Holdings(shelf).release(UUID, at(2, "here"))

    assert (shelf.content(UUID), shelf.read_mark(UUID)) == ("written", None)


def test_another_placements_disks_are_not_removed():
    shelf = shelf_with(mark(1, "there"))

    Holdings(shelf).release(UUID, at(2, "here"))
    assert shelf.content(UUID) == "written"
    Holdings(shelf).release(UUID, None)
    assert shelf.names() == []


def test_what_an_older_release_takes_over_has_no_mark_any_more():
    """Its conductor moves the server and knows no generations: the mark would be wrong."""
    shelf = shelf_with(mark(1, "there"))

    claim(shelf, spec(0))

    assert (shelf.content(UUID), shelf.read_mark(UUID)) == ("written", None)
    assert Holdings(shelf).finding(spec(1, "here")) is Finding.OWN


def test_an_older_releases_cold_move_does_not_go_on_with_a_left_over():
    shelf = shelf_with(mark(1, "here"))

    claim(shelf, spec(0), may_share=False)

    assert shelf.content(UUID) is None
    assert len(shelf.names()) == 2


def test_a_stale_guest_aside_is_not_moved_instead_of_the_one_that_lives():
    shelf = shelf_with(mark(1, "here"))
    holdings = Holdings(shelf)
    holdings.set_aside(spec(1))
    shelf.make(UUID, mark(3, "here"))
    shelf.fill(UUID, "newest")

    assert not holdings.is_out_of_the_way(spec(3))
    holdings.set_aside(spec(3))

    assert shelf.content(f"{UUID}.aside") == "newest"
    assert sorted(shelf.content(name) for name in shelf.names()) == ["newest", "written"]


def test_a_reverted_move_on_shared_storage_loses_neither():
    shelf = shelf_with(mark(1, "there"))
    holdings = Holdings(shelf)
    holdings.set_aside(spec(1, "there"))
    claim(shelf, MOVE, may_share=False)
    shelf.fill(UUID, "new")

    holdings.bring_back(spec(1, "there"))
    holdings.release(UUID, at(2, "here"))

    assert shelf.content(UUID) == "written"
    assert sorted(shelf.content(name) for name in shelf.names()) == ["new", "written"]


def test_a_return_that_broke_off_is_finished_by_whoever_needs_the_disks():
    shelf = shelf_with(mark(1, "here"))
    holdings = Holdings(shelf)
    holdings.set_aside(spec(1))

    holdings.check_here(spec(1))

    assert shelf.names() == [UUID]


def test_disks_that_are_not_there_are_missed_but_for_servers_of_volumes():
    volume = spec(1, disks=(Disk(kind="volume", device_name="vda"),))

    with pytest.raises(errors.DiskMissing):
        Holdings(shelf_with()).check_here(spec(1))
    Holdings(shelf_with()).check_here(volume)


def test_what_is_held_is_told_and_removed_only_as_it_was_seen():
    shelf = shelf_with(mark(1, "here"))
    shelf.make("_base", None)
    shelf.make(f"{UUID}.part", None)
    holdings = Holdings(shelf)
    [held] = holdings.held()

    shelf.write_mark(UUID, mark(2, "here"))
    holdings.remove_held(held)

    assert (held.place, held.server, held.mark) == ("own", UUID, mark(1, "here"))
    assert shelf.exists(UUID)
    holdings.remove_held(holdings.held()[0])
    assert not shelf.exists(UUID)


@pytest.mark.parametrize("damaged", [f"{UUID}", f"{UUID}.left-1", f"{UUID}.aside"])
def test_disks_whose_mark_cannot_be_read_keep_no_others(tmp_path, damaged):
    shelf = DirectoryShelf(str(tmp_path), Storage(str(tmp_path), DiskOptions(), "here"))
    other = UUID.replace("6f", "7f")
    for name in (damaged, other):
        shelf.make(name, mark(1, "former"))
    (tmp_path / damaged / "placement.json").write_bytes(b"\0\0\0")
    holdings = Holdings(shelf)

    holdings.rename_host("former", "here")
    [held] = holdings.held()
    holdings.remove_held(held)

    assert (held.name, held.mark) == (other, mark(1, "here"))
    assert shelf.names() == [damaged]
