"""The disks of fake guests: their content is what the guest wrote last, and it goes where the disk goes."""

import threading
from dataclasses import dataclass, field

from nova import errors
from nova.structs.disks import Mark
from nova.structs.guest import GuestSpec

# What images hold that fake hosts made, by image: this process has no other way to read them.
_images: dict[str, str] = {}


@dataclass
class Directory:
    """content None: there is no root disk in it, or none yet. others: what is on the disks beside it, by their kinds."""

    mark: Mark | None
    content: str | None = None
    others: dict[str, str] = field(default_factory=dict)


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

    # The disks in a directory

    def content(self, name: str) -> str | None:
        directory = self.directories.get(name)
        return None if directory is None else directory.content

    def fill(self, name: str, content: str | None) -> None:
        """Make the root disk, unless there is one."""
        directory = self.directories[name]
        if directory.content is None:
            directory.content = content

    def fill_others(self, spec: GuestSpec, others: dict[str, str]) -> None:
        """Make the disks beside the root disk that are not there, empty unless others says by its kind what is on one."""
        kinds = (disk.kind for disk in spec.disks if disk.kind not in ("root", "volume"))
        directory = self.directories[spec.uuid]
        directory.others = {kind: others.get(kind, "") for kind in kinds} | directory.others

    def others(self, name: str) -> dict[str, str]:
        directory = self.directories.get(name)
        return {} if directory is None else directory.others

    def check(self, spec: GuestSpec, name: str | None = None) -> None:
        """name: of another directory than the guest's own. Raises errors.DiskMissing."""
        name = name or spec.uuid
        if has_disk(spec) and self.content(name) is None:
            raise errors.DiskMissing(missing=[f"{name}/disk"])


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
