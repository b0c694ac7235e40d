"""Shares that this host has mounted, and for which guests.

Beside a mount point lies a directory with an empty file for each guest that has it. The file is written before
the mount is made and removed after it is undone, so that one who was interrupted has left a trace.
"""

import contextlib
import threading
from collections import defaultdict
from pathlib import Path

from oslo_config import cfg

from nova import errors
from nova.structs.share import Share
from nova.virt.libvirt.domain_xml.share import mount_point
from nova.virt.programs import run_program

_USERS = ".guests"


class ShareMounts:
    """One per driver. A mount that hangs delays only guests of the same share."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._base = conf.libvirt.nfs_mount_point_base
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def mount(self, uuid: str, share: Share) -> None:
        """Mount a share for a guest; one that is mounted is kept. Raises errors.GuestFailed."""
        place = mount_point(self._base, share)
        with self._locks[place.name]:
            users = _users(place)
            users.mkdir(parents=True, exist_ok=True)
            (users / uuid).touch()
            place.mkdir(exist_ok=True)
            if is_mounted(place):
                return
            options = self._conf.libvirt.nfs_mount_options
            words = ["-o", options] if options else []
            try:
                run_program(self._conf.host, "mount", "-t", "nfs", *words, "--", share.export_location, place)
            except errors.DomainError:
                self._forget(uuid, place)
                raise

    def unmount(self, uuid: str) -> None:
        """Unmount the shares of a guest that no other guest uses. Raises errors.GuestFailed."""
        for users in Path(self._base).glob(f"*{_USERS}"):
            if (users / uuid).exists():
                place = users.with_name(users.name.removesuffix(_USERS))
                with self._locks[place.name]:
                    self._forget(uuid, place)

    def _forget(self, uuid: str, place: Path) -> None:
        users = _users(place)
        if any(entry.name != uuid for entry in users.iterdir()):
            (users / uuid).unlink(missing_ok=True)
            return
        if is_mounted(place):
            # No guest uses it: a server that is away holds nothing up.
            run_program(self._conf.host, "umount", "--lazy", place)
        with contextlib.suppress(FileNotFoundError):
            place.rmdir()
        (users / uuid).unlink(missing_ok=True)
        users.rmdir()


def is_mounted(place: Path, table: Path = Path("/proc/self/mountinfo")) -> bool:
    """Read from the kernel's table: a look at the directory itself hangs when its server is away."""
    return any(line.split(" ")[4] == str(place) for line in table.read_text().splitlines())


def _users(place: Path) -> Path:
    return place.with_name(place.name + _USERS)
