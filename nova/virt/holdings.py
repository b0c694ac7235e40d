"""Whose the disks are that lie on a host: no driver uses a directory because it is there.

Every directory of disks carries a mark, written before the disks: the server's uuid, and which placement of it
made them. A step says which placement it works for (GuestSpec.disks_id) and, on a move, which one the server had
before (GuestSpec.moves_from). The same placement is this step's own work done again. The one before, on another
host's path, proves that both hosts see the same storage. Any other is a left-over: it is set aside under another
name, not used, and not removed here.
"""

import contextlib
import enum
import logging
import uuid as uuids
from typing import Protocol

import msgspec

from nova import errors
from nova.structs.disks import DisksId, HeldDisks, Mark
from nova.structs.guest import GuestSpec

LOG = logging.getLogger(__name__)

_ASIDE, _LEFT = "aside", "left"


class Shelf(Protocol):
    """Where a host keeps directories of disks, by name."""

    def names(self) -> list[str]: ...

    def exists(self, name: str) -> bool: ...

    def make(self, name: str, mark: Mark | None) -> None:
        """Make an empty directory that has its mark as soon as it is there."""

    def read_mark(self, name: str) -> Mark | None: ...

    def write_mark(self, name: str, mark: Mark | None) -> None:
        """Change the mark at once; None: it has none any more."""

    def rename(self, name: str, new: str) -> None: ...

    def remove(self, name: str) -> None:
        """Remove a directory with its disks; no error when there is none."""


class Finding(enum.Enum):
    """What a directory is to a step."""

    NOTHING = enum.auto()  # there is none
    OWN = enum.auto()  # this placement's
    SHARED = enum.auto()  # the placement's before, seen from another host
    UNMARKED = enum.auto()  # an older release's: nobody can tell
    LEFT_OVER = enum.auto()  # an earlier placement's, or an attempt's that was given up
    NEWER = enum.auto()  # a later placement's: this step comes too late


class Holdings:
    """The directories on one host's shelf. Made for each guest's turn; keeps nothing itself."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def finding(self, spec: GuestSpec) -> Finding:
        """What the guest's own directory is to the step that spec is for."""
        return self._judge(spec.uuid, spec)

    def is_own(self, spec: GuestSpec) -> bool:
        return self.finding(spec) is Finding.OWN

    def claim(
        self, spec: GuestSpec, undo: contextlib.ExitStack, may_share: bool = True, trusts_unmarked: bool = False
    ) -> bool:
        """Make the guest's own directory this placement's. True: its disks were found there, on shared storage.

        A move that broke may have put them aside. may_share: whether the placement before may still have them.
        trusts_unmarked: it has them in use, and a directory without a mark passes for shared, because somebody proves it
        later. Raises HostRefused, GuestFailed.
        """
        if spec.disks_id is None:
            self._claim_unmarked(spec.uuid, undo, may_share)
            return False
        finding = self.finding(spec)
        if finding is Finding.UNMARKED and trusts_unmarked:
            finding = Finding.SHARED
        if finding is Finding.UNMARKED and not _has_data(spec):
            finding = Finding.LEFT_OVER
        _check_claim(finding, spec, may_share)
        if finding is Finding.SHARED:
            return self._adopt(spec.uuid, spec, undo)
        if finding is Finding.OWN:
            return self._own(spec, spec.disks_id)
        # A first placement has nothing aside; nor have disks that are in use where they lie.
        may_be_aside = spec.moves_from is not None and may_share and not trusts_unmarked
        is_aside = may_be_aside and self._is_shared_aside(spec)
        if finding in (Finding.LEFT_OVER, Finding.UNMARKED):
            self.put_away(spec.uuid)
        if is_aside:
            undo.callback(self._shelf.rename, spec.uuid, _aside(spec.uuid))
            self._shelf.rename(_aside(spec.uuid), spec.uuid)
            return self._adopt(spec.uuid, spec, undo)
        undo.callback(self._shelf.remove, spec.uuid)
        self._shelf.make(spec.uuid, Mark(server=spec.uuid, made_by=spec.disks_id))
        return False

    def check_here(self, spec: GuestSpec) -> None:
        """The guest's own directory is this placement's, from now on by its mark. Raises DiskMissing.

        A guest that was aside when its return was broken off returns now.
        """
        if self.finding(spec) is Finding.NOTHING and self.is_aside(spec):
            self.bring_back(spec)
        finding = self.finding(spec)
        if finding is not Finding.OWN and spec.disks_id is not None and not _has_data(spec):
            if self.puts_away(spec):
                self.put_away(spec.uuid)
            self._shelf.make(spec.uuid, Mark(server=spec.uuid, made_by=spec.disks_id))
        elif finding is Finding.NOTHING:
            raise errors.DiskMissing(missing=[spec.uuid])
        elif finding is not Finding.OWN:
            raise errors.DiskMissing(
                missing=[f"{spec.uuid} ({finding.name.lower()}: {self._shelf.read_mark(spec.uuid)})"]
            )
        if spec.disks_id is not None:
            self._own(spec, spec.disks_id)

    def puts_away(self, spec: GuestSpec) -> bool:
        """Whether check_here() puts away what is here: another placement's, and a server's whose disks are volumes, which
        loses nothing with it."""
        is_other = self.finding(spec) not in (Finding.OWN, Finding.NOTHING)
        return is_other and spec.disks_id is not None and not _has_data(spec)

    def release(self, uuid: str, made_by: DisksId | None) -> None:
        """Remove what a placement made (None: whatever there is); what it found is given back, all else stays."""
        mark = self._shelf.read_mark(uuid)
        if made_by is None:
            self._shelf.remove(uuid)
        elif mark is None or mark.made_by != made_by:
            if self._shelf.exists(uuid):
                LOG.info("the disks of server %s stay: they are of %s, not of %s", uuid, mark, made_by)
        elif mark.found_as is None:
            self._shelf.remove(uuid)
        else:
            self._shelf.write_mark(uuid, _before(mark))

    # Aside

    def is_out_of_the_way(self, spec: GuestSpec) -> bool:
        """Whether set_aside() is done."""
        return self.is_aside(spec) and (spec.disks_id is None or not self.is_own(spec))

    def is_aside(self, spec: GuestSpec) -> bool:
        """Whether the disks of this placement are aside."""
        return self._judge(_aside(spec.uuid), spec) is Finding.OWN

    def find(self, spec: GuestSpec, aside: bool = False, own: bool = True) -> str:
        """The directory with this placement's disks, aside or in the guest's place. Changes nothing. Raises DiskMissing.

        A guest whose disks are volumes has none to miss.
        """
        if aside and self.is_aside(spec):
            return _aside(spec.uuid)
        if _has_data(spec) and not (own and self.is_own(spec)):
            places = [name for name, counts in ((_aside(spec.uuid), aside), (spec.uuid, own)) if counts]
            raise errors.DiskMissing(missing=[f"{name} ({self._judge(name, spec).name.lower()})" for name in places])
        return spec.uuid

    def set_aside(self, spec: GuestSpec) -> None:
        """Put the guest's disks aside, all at once. Raises DiskMissing."""
        self.check_here(spec)
        if self._shelf.exists(_aside(spec.uuid)):
            self.put_away(_aside(spec.uuid))
        self._shelf.rename(spec.uuid, _aside(spec.uuid))

    def bring_back(self, spec: GuestSpec) -> None:
        """What is aside is the guest's own again; what a move to this host made goes, another host's is put away."""
        mark = self._shelf.read_mark(spec.uuid)
        if mark is not None and spec.disks_id is not None and mark.made_by.host != spec.disks_id.host:
            self.put_away(spec.uuid)
        self._shelf.remove(spec.uuid)
        self._shelf.rename(_aside(spec.uuid), spec.uuid)

    def forget_aside(self, uuid: str) -> None:
        self._shelf.remove(_aside(uuid))

    def put_away(self, name: str) -> None:
        """Give a directory another name, under which no step looks for it."""
        uuid = name.partition(".")[0]
        new = f"{uuid}.{_LEFT}-{uuids.uuid4().hex[:8]}"
        LOG.warning("the disks in %s are left over (%s): they are kept as %s", name, self._shelf.read_mark(name), new)
        self._shelf.rename(name, new)

    # For the reconcilers

    def mark(self, uuid: str, disks_id: DisksId) -> None:
        """Mark the directory of a guest that lives here and that an older release brought."""
        if self._shelf.exists(uuid):
            self._shelf.write_mark(uuid, Mark(server=uuid, made_by=disks_id))

    def forget_mark(self, uuid: str) -> None:
        """Whoever takes the disks over knows no marks: they are its server's, by its record."""
        if self._shelf.exists(uuid):
            self._shelf.write_mark(uuid, None)

    def rename_host(self, old: str, new: str) -> None:
        """Marks that name one host name another."""
        for held in self.held():
            mark = held.mark
            if mark is None:
                continue
            made_by, found_as = (
                msgspec.structs.replace(one, host=new) if one is not None and one.host == old else one
                for one in (mark.made_by, mark.found_as)
            )
            assert made_by is not None
            self._shelf.write_mark(held.name, msgspec.structs.replace(mark, made_by=made_by, found_as=found_as))

    def held(self) -> tuple[HeldDisks, ...]:
        """Every directory of disks on the shelf whose mark can be read, or which has none. Of any other nobody can tell
        whose it is: it stays as it is."""
        return tuple(held for name in self._shelf.names() if (held := self._held(name)) is not None)

    def _held(self, name: str) -> HeldDisks | None:
        place = _place(name)
        if place is None:
            return None
        try:
            mark = self._shelf.read_mark(name)
        except errors.GuestFailed as error:
            LOG.warning("the disks in %s are nobody's to mark or to remove: %s", name, error)
            return None
        return HeldDisks(server=name.partition(".")[0], name=name, place=place, mark=mark)

    def remove_held(self, held: HeldDisks) -> None:
        """Remove a directory, if it is still the one that was seen."""
        if self._shelf.read_mark(held.name) == held.mark:
            self._shelf.remove(held.name)

    def _is_shared_aside(self, spec: GuestSpec) -> bool:
        """Whether the disks of the placement before are aside. Raises HostRefused, GuestFailed."""
        finding = self._judge(_aside(spec.uuid), spec)
        if finding is not Finding.UNMARKED or _has_data(spec):
            _check_claim(finding, spec, may_share=True)
        return finding is Finding.SHARED

    def _own(self, spec: GuestSpec, disks_id: DisksId) -> bool:
        """Mark as this placement's what is, by whatever it says; whether it was found here."""
        mark = self._shelf.read_mark(spec.uuid)
        if mark is None or mark.made_by != disks_id:
            mark = Mark(server=spec.uuid, made_by=disks_id)
            self._shelf.write_mark(spec.uuid, mark)
        return mark.found_as is not None

    def _adopt(self, name: str, spec: GuestSpec, undo: contextlib.ExitStack) -> bool:
        assert spec.disks_id is not None
        before = self._shelf.read_mark(name)
        mark = Mark(server=spec.uuid, made_by=spec.disks_id, found_as=spec.moves_from, is_unproved=before is None)
        undo.callback(self._shelf.write_mark, name, before)
        self._shelf.write_mark(name, mark)
        return True

    def _claim_unmarked(self, name: str, undo: contextlib.ExitStack, may_share: bool) -> None:
        """What an older release orders has no mark, also where it goes on with what has one."""
        before = self._shelf.read_mark(name)
        if before is not None and not may_share:
            self.put_away(name)
        elif before is not None:
            undo.callback(self._shelf.write_mark, name, before)
            self._shelf.write_mark(name, None)
        if not self._shelf.exists(name):
            undo.callback(self._shelf.remove, name)
            self._shelf.make(name, None)

    def _judge(self, name: str, spec: GuestSpec) -> Finding:
        if not self._shelf.exists(name):
            return Finding.NOTHING
        mark, wanted, before = self._shelf.read_mark(name), spec.disks_id, spec.moves_from
        if wanted is None:
            # The order of an older release, which knows no placements.
            return Finding.OWN
        if mark is None:
            # Where the server lives, by its record, or comes from nowhere, there is no doubt.
            return Finding.OWN if before is None else Finding.UNMARKED if before.host else Finding.LEFT_OVER
        names = (mark.made_by, mark.found_as)
        # Found by a host to which the server never came: they are what they were.
        if wanted in names:
            return Finding.OWN
        if before is not None and before in names:
            return Finding.SHARED
        return Finding.NEWER if mark.made_by.generation > wanted.generation else Finding.LEFT_OVER


def parse_mark(text: str | bytes) -> Mark:
    """Raises errors.GuestFailed for a mark that cannot be read: what it says is not known."""
    try:
        return msgspec.json.decode(text, type=Mark)
    except msgspec.MsgspecError as error:
        raise errors.GuestFailed(reason="The mark of the server's disks cannot be read") from error


def _check_claim(finding: Finding, spec: GuestSpec, may_share: bool) -> None:
    """Raises HostRefused, GuestFailed where a placement must not take what was found."""
    assert spec.disks_id is not None
    if finding is Finding.NEWER:
        raise errors.GuestFailed(reason="A later move has made the disks of this server here")
    if finding is Finding.SHARED and not may_share:
        raise errors.GuestFailed(reason="The disks of this server are still in use where they lie")
    if finding is Finding.UNMARKED and may_share:
        reason = "it has disks of this server of which nobody can tell whether they are left over"
        raise errors.HostRefused(host=spec.disks_id.host, reason=reason)


def _before(mark: Mark) -> Mark | None:
    """The mark that a placement found."""
    if mark.is_unproved or mark.found_as is None:
        return None
    return msgspec.structs.replace(mark, made_by=mark.found_as, found_as=None)


def _has_data(spec: GuestSpec) -> bool:
    """Whether the guest has disks of its own beside volumes."""
    return any(disk.kind not in ("volume", "swap") for disk in spec.disks)


def _aside(uuid: str) -> str:
    return f"{uuid}.{_ASIDE}"


def _place(name: str) -> str | None:
    """own, aside or left; None for what holds no disks of ours."""
    uuid, _, rest = name.partition(".")
    try:
        uuids.UUID(uuid)
    except ValueError:
        return None
    kind = rest.partition("-")[0]
    return kind if kind in (_ASIDE, _LEFT) else None if rest else "own"


def is_put_away(name: str) -> bool:
    """Whether a directory of this name holds a left-over, which is no guest's any more."""
    return _place(name) == _LEFT
