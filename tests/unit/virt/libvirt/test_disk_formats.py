"""What a disk stands on is known, or told not to be."""

import pytest

from nova import errors
from nova.structs.guest import Disk
from nova.virt.libvirt import disk_formats

ROOT = Disk(kind="root", device_name="/dev/vda", image_path="/cache/image")


def test_of_a_disk_that_cannot_be_read_nothing_is_said(tmp_path):
    with pytest.raises(errors.GuestFailed):
        disk_formats.stands_by_itself(tmp_path / "disk")
    with pytest.raises(errors.GuestFailed):
        disk_formats.stands_on_its_image(tmp_path / "disk", ROOT)
