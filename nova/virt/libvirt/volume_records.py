"""What a host has connected for its guests, in a file beside each guest's disks that outlives nova-compute.

Each host has a file of its own: they may share storage. A directory that was put away keeps its file, until what that
names is disconnected.
"""

import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from nova import durable, errors
from nova.virt.holdings import is_put_away
from nova.virt.libvirt import disk_calls

LOG = logging.getLogger(__name__)

# Before a host's file had the host's name, on storage that several see, one host disconnected what was another's.
_OLD_NAME = "volumes.json"


class VolumeRecords:
    """One host's records, by the names of directories below instances_path; a guest's own directory is named as it is."""

    def __init__(self, instances_path: str, host: str) -> None:
        self._root, self._host = Path(instances_path), host

    @disk_calls.bounded_in_time
    def read(self, name: str) -> dict[str, Any]:
        """Raises errors.VolumesUnknown: nobody knows what is connected then."""
        path = self._file(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            raise errors.VolumesUnknown(detail=f"{path}: {error}") from error

    def known(self, name: str) -> dict[str, Any]:
        """What is known to be connected. A record that cannot be read is kept beside the one that takes its place."""
        try:
            return self.read(name)
        except errors.VolumesUnknown as error:
            path = self._file(name)
            kept = path.with_name(f"{path.name}.unreadable")
            LOG.error("what is connected of server %s is not known, its record is kept as %s: %s", name, kept, error)
            disk_calls.quick(durable.rename, path, kept)
            return {}

    @disk_calls.bounded_in_time
    def write(self, name: str, connections: dict[str, Any]) -> None:
        path = self._file(name)
        if not connections:
            if path.exists():
                path.unlink()
                durable.flush(path.parent)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # Connection info holds passwords of storage.
        durable.write(path, json.dumps(connections).encode(), mode=0o600)

    @disk_calls.bounded_in_time
    def of_server(self, uuid: str) -> tuple[str, ...]:
        """The directories of a server that have a record, its guest's own or put away."""
        return tuple(path.parent.name for path in sorted(self._root.glob(f"{uuid}*/{_file_name(self._host)}")))

    def is_elsewhere(self, name: str, key: str) -> bool:
        """Whether another directory's record has a volume: it has one connection on a host, whatever has it.

        Directories that were put away have no guest that could lose it, and their records may be old.
        """
        others = (other for other in self._names() if other != name and not is_put_away(other))
        return any(key in self._glance(other) for other in others)

    @disk_calls.bounded_in_time
    def adopt(self, uuid: str) -> None:
        """What an older release has written of a guest that is defined here is this host's."""
        old = self._root / uuid / _OLD_NAME
        if old.exists():
            durable.rename(old, self._file(uuid))

    @disk_calls.bounded_in_time
    def rename_host(self, old: str, new: str) -> None:
        """What one host has written is another's: the same machine under a new name."""
        for path in self._root.glob(f"*/{_file_name(old)}"):
            durable.rename(path, path.with_name(_file_name(new)))

    @disk_calls.bounded_in_time
    def _names(self) -> tuple[str, ...]:
        return tuple(path.parent.name for path in self._root.glob(f"*/{_file_name(self._host)}"))

    def _glance(self, name: str) -> dict[str, Any]:
        try:
            return self.read(name)
        except errors.VolumesUnknown as error:
            LOG.error("what is connected of server %s is not known: %s", name, error)
            return {}

    def _file(self, name: str) -> Path:
        return self._root / name / _file_name(self._host)


def _file_name(host: str) -> str:
    return f"volumes-{quote(host, safe='')}.json"
