"""The disks of fake guests: their content is what the guest wrote last, and it goes where the disk goes."""

import threading
from dataclasses import dataclass

from nova import errors
from nova.structs.disks import Mark
from nova.structs.guest import GuestSpec

# What images hold that fake hosts made, by image: this process has no other way to read them.
_images: dict[str, str] = {}


@dataclass
class Directory:
    """content None: there is no disk in it, or none yet."""

    mark: Mark | None
    content: str | None = None


class FakeShelf:
    """Directories of disks in memory. Hosts that are given the same one share their storage."""

    def __init__(self) -> None:
        self.directories: dict[str, Directory] = {}
        self.lock = threading.RLock()

    def names(self) -> list[str]:
        return sorted(self.directories)

    def exists(self, name: str) -> bool:
        return name in self.directories

    def make(self, name: str, mark: Mark | None) -> None:
        self.directories[name] = Directory(mark)

    def read_mark(self, name: str) -> Mark | None:
        directory = self.directories.get(name)
        return None if directory is None else directory.mark

    def write_mark(self, name: str, mark: Mark | None) -> None:
        self.directories[name].mark = mark

    def rename(self, name: str, new: str) -> None:
        self.directories[new] = self.directories.pop(name)

    def remove(self, name: str) -> None:
        self.directories.pop(name, None)

    # The disk in a directory

    def content(self, name: str) -> str | None:
        directory = self.directories.get(name)
        return None if directory is None else directory.content

    def fill(self, name: str, content: str | None) -> None:
        """Make the disk, unless there is one."""
        directory = self.directories[name]
        if directory.content is None:
            directory.content = content

    def check(self, spec: GuestSpec) -> None:
        """Raises errors.DiskMissing."""
        if has_disk(spec) and self.content(spec.uuid) is None:
            raise errors.DiskMissing(missing=[f"{spec.uuid}/disk"])


def has_disk(spec: GuestSpec) -> bool:
    """Whether the guest has a root disk that is no volume."""
    return any(disk.kind == "root" for disk in spec.disks)


def new_content(spec: GuestSpec) -> str | None:
    """What a disk holds that is made of the guest's image."""
    if not has_disk(spec):
        return None
    image_id = spec.image.id if spec.image is not None else ""
    return _images.get(image_id, f"image {image_id}")


def keep_image(image_id: str, content: str) -> None:
    """Remember what an image holds, for disks that are made of it."""
    _images[image_id] = content


def kept_images() -> dict[str, str]:
    return dict(_images)
