"""The config drive as an ISO file of this host, on its way to a datastore."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nova import concurrency, errors

_WITHIN_S = 300
_DIALECT = ("-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-quiet", "-J", "-r", "-V", "config-2")


@contextlib.contextmanager
def iso_file(files: dict[str, bytes], program: str) -> Iterator[Path]:
    """A file with these files, by their paths, that is gone afterwards. Raises errors.GuestFailed."""
    with tempfile.TemporaryDirectory(prefix="nova-config-drive-") as directory:
        tree, target = Path(directory) / "tree", Path(directory) / "config.iso"
        tree.mkdir()
        for name, content in files.items():
            file = tree / name.lstrip("/")
            if ".." in file.parts:
                raise errors.GuestFailed(reason=f"{name} is not a path of a config drive")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        try:
            concurrency.run_blocking(
                subprocess.run,
                [program, *_DIALECT, "-o", str(target), str(tree)],
                check=True,
                capture_output=True,
                timeout=_WITHIN_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise errors.GuestFailed(reason="The config drive cannot be made", detail=str(error)) from error
        yield target
