"""Writes the administrator's password into a guest's root disk before the guest first runs.

libguestfs looks for the root file system and the account in it; nothing inside the image is needed.
Source: configuration reference, [libvirt] inject_password and inject_partition; virt-customize(1).
"""

import tempfile
from pathlib import Path

from oslo_config import cfg

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.libvirt import disk_formats
from nova.virt.libvirt.files import DiskOptions, file_format, local_files
from nova.virt.programs import COPY_S, run_program

_NO_PARTITION = -2


def inject(spec: GuestSpec, directory: Path, options: DiskOptions, conf: cfg.ConfigOpts) -> None:
    """Set root's password in the guest's root disk, where the operator wants that; doing it twice is doing it once.

    A guest that boots from a volume keeps what is on it. Raises errors.GuestFailed for a disk without
    a Linux system, or without libguestfs on this host.
    """
    is_enabled = conf.libvirt.inject_password and conf.libvirt.inject_partition != _NO_PARTITION
    root = next(((disk, name) for disk, name in local_files(spec) if disk.kind == "root"), None)
    if not is_enabled or root is None or not spec.password:
        return
    if "\n" in spec.password:
        raise errors.GuestFailed(reason="A password of several lines cannot be written into a disk")
    disk, name = root
    # A command line can be read by every process of the host.
    with tempfile.NamedTemporaryFile("w", dir=directory) as file:
        file.write(spec.password)
        file.flush()
        own_format = disk_formats.recorded(directory / name, file_format(disk, options))
        words = ["--no-network", "--quiet", "--format", own_format, "--add", str(directory / name)]
        run_program(conf.host, "virt-customize", *words, "--root-password", f"file:{file.name}", timeout_s=COPY_S)
