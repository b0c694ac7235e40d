"""Runs programs of this host, bounded in time, and with less than everything where they read a tenant's bytes.

What a program printed is for the log and for administrators: it names paths and other things of the host.
"""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nova import concurrency, errors

LOG = logging.getLogger(__name__)

# What only reads a header or makes an empty file ends at once, but for a file system that hangs.
QUICK_S = 300.0
# What moves a disk's content.
COPY_S = 6 * 3600.0
_KILLED_WITHIN_S = 2.0
_NO_ROOM = ("No space left on device", "Disk quota exceeded")
_NOBODY = 65534
_UNPRIVILEGED = (
    *("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--no-new-privs"),
    *("--bounding-set=-all", "--inh-caps=-all"),
)


def run_program(host: str, *command: str | Path, timeout_s: float = QUICK_S) -> None:
    """Run a program; what it creates is readable by its owner alone.

    Raises errors.DiskFull, errors.GuestFailed; also when it has not ended after timeout_s, and is killed then.
    """
    _run(host, [str(word) for word in command], timeout_s)


def convert_image(host: str, source: Path, source_format: str, target: Path, memory_limit_gb: int) -> None:
    """Write a tenant's image to target, a raw file that is there and large enough, with bounded memory.

    Both files are handed over open: the program itself may reach no other. Raises as run_program does.
    """
    with source.open("rb") as image, target.open("r+b") as disk:
        words = ["prlimit", f"--as={memory_limit_gb << 30}", "--core=0", "qemu-img", "convert", "-n", "-q"]
        words += ["-f", source_format, "-O", "raw"]
        words += [f"/proc/self/fd/{file.fileno()}" for file in (image, disk)]
        if os.geteuid() != 0:
            _run(host, words, COPY_S, (image.fileno(), disk.fileno()))
            return
        os.fchown(disk.fileno(), _NOBODY, _NOBODY)
        try:
            _run(host, [*_UNPRIVILEGED, *words], COPY_S, (image.fileno(), disk.fileno()))
        finally:
            os.fchown(disk.fileno(), 0, 0)


def _run(host: str, words: Sequence[str], timeout_s: float, files: tuple[int, ...] = ()) -> None:
    name = next(word for word in words if "/" not in word and word not in ("setpriv", "prlimit") and word[0] != "-")
    if shutil.which(words[0]) is None:
        raise errors.GuestFailed(
            reason="A program is missing on the server's host", detail=f"{words[0]} is not installed"
        )
    status, printed = concurrency.run_blocking(_run_bounded, words, timeout_s, files)
    if status is None:
        LOG.error("%s did not end within %s s and was killed: %s", name, timeout_s, " ".join(words))
        raise errors.GuestFailed(reason="A program on the server's host did not end in time", detail=name)
    if status:
        said = printed.strip()[-2000:]
        LOG.warning("%s ended with status %s: %s: %s", name, status, " ".join(words), said)
        if any(text in printed for text in _NO_ROOM):
            raise errors.DiskFull(host=host)
        raise errors.GuestFailed(reason="A program on the server's host failed", detail=f"{name}: {said[-500:]}")


def _run_bounded(words: Sequence[str], timeout_s: float, files: tuple[int, ...]) -> tuple[int | None, str]:
    """The status (None: it was killed) and what was printed to the error output.

    A file, not a pipe, takes the output: a process that hangs in the kernel keeps a pipe open for ever.
    """
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=printed,
            pass_fds=files,
            umask=0o077,
            start_new_session=True,
        )
        try:
            status = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            try:
                process.wait(_KILLED_WITHIN_S)
            except subprocess.TimeoutExpired:
                # It waits for a file system that does not answer, and ends when that does.
                LOG.error("process %s cannot be killed", process.pid)
            return None, ""
        printed.seek(0)
        return status, printed.read().decode(errors="replace")
