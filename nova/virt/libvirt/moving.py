"""A guest that is off, put aside on its host until its move to another host or size is confirmed.

Its files lie beside the guests' directories under a name of their own; nothing of them is changed before
they are the guest again or are forgotten. The destination copies them: from the same file system where it
sees it, else through the source's libvirtd, with whom live migration is agreed too.
"""

import contextlib
import functools
import uuid as uuids
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import libvirt
import msgspec
from oslo_config import cfg

from nova import errors
from nova.structs.guest import Disk, GuestSpec
from nova.virt.libvirt import disk_formats
from nova.virt.libvirt.connection import Connection, Proxy, uri_of_host
from nova.virt.libvirt.disk_calls import bounded_in_time
from nova.virt.libvirt.domain_xml import to_text
from nova.virt.libvirt.domain_xml.facts import child
from nova.virt.libvirt.files import DiskOptions, file_format, guest_directory, local_files
from nova.virt.libvirt.storage import Storage

# Proves that a directory seen here is the very one the source means.
_TOKEN = "aside"


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest that is aside, as the destination must know it. names: the files of its disks.
    formats: what each is; the source's is_overlay says it where an older release does not."""

    host: str
    directory: str
    token: str
    is_overlay: bool
    names: tuple[str, ...] = ()
    formats: dict[str, str] = {}


class Aside:
    """The guests that are aside on this host."""

    def __init__(self, instances_path: str, storage: Storage, options: DiskOptions) -> None:
        self._root = instances_path
        self._storage = storage
        self._options = options

    def describe(self, spec: GuestSpec, conf: cfg.ConfigOpts) -> Facts:
        """Where a destination finds the files that are aside, and a token that proves they are these."""
        directory = Path(self._root) / f"{spec.uuid}.aside"
        self._storage.make_whole(spec, directory)
        token, names = _mark(directory)
        return Facts(
            host=conf.libvirt.live_migration_inbound_addr or conf.host,
            directory=str(directory),
            token=token,
            is_overlay=self._options.is_overlay,
            names=names,
            formats=disk_formats.recorded_in(directory),
        )

    def copy(self, spec: GuestSpec, facts: Facts, source: str, undo: contextlib.ExitStack) -> None:
        """Copy the disks that spec still has; swap and config drive are made, not copied. Raises DiskMissing."""
        if facts.is_overlay != self._options.is_overlay:
            raise errors.HostRefused(host=facts.host, reason="it keeps guests' disks in another format")
        own = guest_directory(self._root, spec.uuid)
        roots = [name for disk, name in local_files(spec) if disk.kind == "root"]
        if lost := [f"{facts.directory}/{name}" for name in roots if name not in facts.names]:
            raise errors.DiskMissing(missing=lost)
        files = [(disk, name) for disk, name in local_files(spec) if disk.kind != "swap" and name in facts.names]
        aside = Path(facts.directory)
        if _has_token(aside, facts.token):
            for disk, name in files:
                copy = functools.partial(self._storage.copy_file, aside / name)
                self._storage.adopt(own / name, disk, self._format(disk, name, facts), undo, copy)
            return
        with contextlib.closing(Connection(source)) as remote, _pool(remote, spec.uuid, facts.directory) as pool:
            for disk, name in files:
                copy = functools.partial(_download, remote, pool, name)
                self._storage.adopt(own / name, disk, self._format(disk, name, facts), undo, copy)

    def _format(self, disk: Disk, name: str, facts: Facts) -> str:
        return facts.formats.get(name) or file_format(disk, self._options)


@bounded_in_time
def _mark(directory: Path) -> tuple[str, tuple[str, ...]]:
    """The token that proves a directory to be this one, and the names of its disks."""
    token = directory / _TOKEN
    if not token.exists():
        token.write_text(uuids.uuid4().hex)
    return token.read_text(), tuple(sorted(path.name for path in directory.glob("disk*")))


@bounded_in_time
def _has_token(directory: Path, token: str) -> bool:
    return (directory / _TOKEN).exists() and (directory / _TOKEN).read_text() == token


def source_uri(conf: cfg.ConfigOpts, facts: Facts) -> str:
    """The source's libvirtd, as the destination's host reaches it."""
    return uri_of_host(conf, facts.host)


@contextlib.contextmanager
def _pool(remote: Connection, uuid: str, directory: str) -> Iterator[Proxy]:
    """The directory as a storage pool of the remote libvirtd, which reads files only out of pools."""
    name = f"nova-{uuid}"
    for pool in remote.read("listAllStoragePools"):
        # Left behind by a copy that was killed.
        if pool.name() == name:
            pool.destroy()
    element = ET.Element("pool", type="dir")
    child(element, "name", name)
    child(child(element, "target"), "path", directory)
    pool = remote.change("storagePoolCreateXML", to_text(element), 0)
    try:
        yield pool
    finally:
        with contextlib.suppress(errors.DomainError):
            pool.destroy()


def _download(remote: Connection, pool: Proxy, name: str, target: Path) -> None:
    """Copy one file, holes as holes."""
    volume = pool.storageVolLookupByName(name)
    stream = remote.change("newStream", 0)
    with target.open("wb") as file:
        volume.download(stream, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        stream.sparseRecvAll(_write, _skip, file)
        stream.finish()
        # A hole at the end is part of the disk.
        file.truncate(file.tell())


def _write(_stream: Any, data: bytes, file: BinaryIO) -> int:
    return file.write(data)


def _skip(_stream: Any, length: int, file: BinaryIO) -> None:
    file.seek(length, 1)
