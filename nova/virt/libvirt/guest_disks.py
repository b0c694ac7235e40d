"""A guest's disks as the steps find them: whose they are (nova.virt.holdings), and whether they are all there."""

import contextlib
import uuid as uuids
from collections.abc import Callable
from pathlib import Path

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.holdings import Finding, Holdings
from nova.virt.libvirt import devices
from nova.virt.libvirt.connection import Proxy
from nova.virt.libvirt.disk_calls import quick
from nova.virt.libvirt.files import guest_directory
from nova.virt.libvirt.shelf import DirectoryShelf
from nova.virt.libvirt.storage import Storage


class GuestDisks:
    """The disks of the guests below one instances_path."""

    def __init__(self, instances_path: str, storage: Storage, let_go: Callable[[str], None]) -> None:
        """let_go: disconnects the volumes that the record in a guest's directory names."""
        self._root = instances_path
        self._storage = storage
        self._shelf = DirectoryShelf(instances_path, storage, let_go)
        self.holdings = Holdings(self._shelf)

    def are_whole(self, spec: GuestSpec) -> bool:
        """Whether the disks here are this placement's, and all there."""
        return self.holdings.is_own(spec) and self._storage.has_disks(spec)

    def are_left_over(self, spec: GuestSpec) -> bool:
        """Whether those of an earlier placement lie in their place."""
        return self.holdings.finding(spec) is Finding.LEFT_OVER

    def may_replace(self, spec: GuestSpec, may_share: bool) -> bool:
        """Whether claim() takes the place, so that a guest that is defined on it is nobody's any more."""
        finding = self.holdings.finding(spec)
        return finding is not Finding.NEWER and not (finding is Finding.UNMARKED and may_share)

    def awaits(self, spec: GuestSpec) -> bool:
        """Whether a guest that is defined here is in the way of the one that is to come from its source."""
        return self.holdings.finding(spec) in (Finding.LEFT_OVER, Finding.NOTHING, Finding.SHARED)

    def check(self, spec: GuestSpec) -> None:
        """Raises DiskMissing unless the disks here are this placement's, and all there."""
        try:
            self.holdings.check_here(spec)
        except errors.DiskMissing as error:
            raise errors.DiskMissing(missing=[*error.details["missing"], *self._storage.missing(spec)]) from error
        self._storage.check(spec)

    def check_unchanged(self, spec: GuestSpec, aside: bool, own: bool) -> None:
        """As check(), of disks that are aside or in their place, and whatever is found stays what it is."""
        self._storage.check(spec, self.holdings.find(spec, aside, own))

    def check_defined(self, uuid: str, domain: Proxy) -> None:
        """The root disk of a guest that is to start as it is defined. Raises DiskMissing."""
        own = guest_directory(self._root, uuid)
        sources = devices.read_devices(domain, is_persistent=True).findall("disk[@device='disk']/source[@file]")
        paths = [Path(source.get("file", "")) for source in sources]
        missing = [path for path in paths if path.parent == own and path.name == "disk" and not quick(path.exists)]
        if missing:
            raise errors.DiskMissing(missing=[str(path) for path in missing])

    def make_incoming(self, spec: GuestSpec, undo: contextlib.ExitStack) -> tuple[bool, str]:
        """Be ready for disks that come with a running guest: empty ones, or (True) those that are here, on storage
        its source sees, with a token that proves it there."""
        if not self.holdings.claim(spec, undo, trusts_unmarked=True):
            return self._storage.prepare_incoming(spec, undo), ""
        token = uuids.uuid4().hex
        undo.callback(self._shelf.take_tokens, spec.uuid)
        self._shelf.leave_token(spec.uuid, token)
        return True, token

    def prove_shared(self, uuid: str, token: str) -> None:
        """On the source, before it moves anything. Raises GuestFailed unless the destination left its token here."""
        if not token:
            # An older release's destination leaves the mark as it is, and it would be wrong there.
            self.holdings.forget_mark(uuid)
        elif not self._shelf.has_token(uuid, token):
            reason = "The destination has other disks of this server, of which nobody can tell whose they are"
            raise errors.GuestFailed(reason=reason)

    def begin_move(self, spec: GuestSpec) -> bool:
        """On the source: whether nothing has been moved yet for the placement on the destination."""
        return spec.disks_id is None or self._shelf.note_move(spec.uuid, spec.disks_id.generation)

    def end_move(self, spec: GuestSpec) -> None:
        """On the source: what is known of a move that is over is of no use any more."""
        self._shelf.take_tokens(spec.uuid)
        self._shelf.forget_moves(spec.uuid)

    def abort_incoming(self, spec: GuestSpec) -> None:
        """Undo make_incoming; disks on shared storage are given back."""
        self._shelf.take_tokens(spec.uuid)
        if spec.disks_id is not None or self._storage.is_incoming(spec.uuid):
            self.holdings.release(spec.uuid, spec.disks_id)
