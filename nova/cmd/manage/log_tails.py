"""The ends of the daemons' log files, as far as they are in files."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nova.conf.files import Setting

_TAIL_BYTES = 1024 * 1024
_MOST_FILES = 20


@dataclass(frozen=True)
class LogTail:
    """The last MiB of a log file."""

    path: Path

    @property
    def name(self) -> str:
        return "-".join(self.path.parts[1:])

    def read(self) -> str:
        """Whole lines. Raises OSError; a link is not followed: whoever may write logs is not who reads them here."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{self.path} is no file")
            file.seek(max(0, status.st_size - _TAIL_BYTES))
            if file.tell():
                # A part of a line could be a part of a secret.
                file.readline()
            return file.read(_TAIL_BYTES).decode(errors="replace")


def find(settings: Iterable[Setting]) -> Iterator[LogTail]:
    """The log files that configurations name, and those in the directories that they name; the newest."""
    by_file: dict[str, dict[str, str]] = {}
    for setting in settings:
        if setting.group == "DEFAULT":
            by_file.setdefault(setting.path, {})[setting.option.replace("log_", "log")] = setting.value
    paths: set[Path] = set()
    for values in by_file.values():
        directory, file = values.get("logdir", ""), values.get("logfile")
        if file:
            paths.add(Path(os.path.abspath(os.path.join(directory, file))))
        elif directory:
            paths.update(Path(os.path.abspath(directory)).glob("*.log"))
    yield from map(LogTail, sorted(paths, key=_changed, reverse=True)[:_MOST_FILES])


def _changed(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
