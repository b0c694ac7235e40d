"""The content of disks, in and out of the pool over HTTP: raw or VHD.

The toolstack says 200 before the content flows, and gives no length: whether all of it has arrived is said by the
transfer's task alone.
"""

import contextlib
import http.client
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nova import errors, image_format
from nova.virt.xenserver.session import Session

FORMATS = frozenset({"raw", "vhd"})
_CHUNK = 1 << 20
_SILENCE_S = 300.0
_MOST_REDIRECTIONS = 3


def send(session: Session, vdi: str, source: Path, format_: str) -> None:
    """Fill a disk, which nothing uses and which is large enough, from a file. Raises errors.Unavailable, DiskFull,
    GuestFailed."""

    def body() -> Iterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
                # Under green threads nothing else would run while a fast network takes it all.
                time.sleep(0)

    headers = {"Content-Length": str(source.stat().st_size)}
    with session.task("import of a disk") as task, _told():
        query = {"vdi": vdi, "format": format_, "task_id": task}
        _ask(session, "PUT", "/import_raw_vdi", query, body, headers).read()


def receive(session: Session, vdi: str, target: Path, format_: str) -> None:
    """Write a disk's content to a file, which is removed when it is not whole. Raises errors.Unavailable, GuestFailed."""
    with contextlib.ExitStack() as undo:
        undo.callback(target.unlink, missing_ok=True)
        with session.task("export of a disk") as task, _told():
            query = {"vdi": vdi, "format": format_, "task_id": task}
            answer = _ask(session, "GET", "/export_raw_vdi", query, None, {})
            with target.open("wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    time.sleep(0)
        _check_is_whole(session, vdi, target, format_)
        undo.pop_all()


def _check_is_whole(session: Session, vdi: str, file: Path, format_: str) -> None:
    expected = int(session.call("VDI.get_virtual_size", vdi))
    try:
        # A VHD's size is in its last bytes.
        size = image_format.virtual_size(file, "vhd") if format_ == "vhd" else file.stat().st_size
    except image_format.UnsafeImage:
        size = 0
    if size < expected:
        detail = f"{size} of {expected} bytes, as {format_}"
        raise errors.GuestFailed(reason="The hypervisor gave a part of a disk for the whole", detail=detail)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        reason = "a disk's transfer broke off"
        raise errors.Unavailable(service="The hypervisor", reason=reason, detail=repr(error)) from error


def _ask(
    session: Session, method: str, path: str, query: dict[str, str], body: Any, headers: dict[str, str]
) -> http.client.HTTPResponse:
    """The answer to a request that was accepted. A host of the pool may send it on to the one that has the storage."""
    # A call finds out whether the session is still good; a transfer only fails.
    session.call("session.get_this_host", session.handle)
    target = f"{path}?{urllib.parse.urlencode({**query, 'session_id': session.handle})}"
    url = urllib.parse.urlsplit(session.master_url)
    for _ in range(_MOST_REDIRECTIONS):
        connection = _connect(session, url)
        try:
            connection.request(method, target, body() if body else None, headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        if answer.status != 302:
            break
        url = urllib.parse.urlsplit(answer.getheader("Location", ""))
        target = f"{url.path}?{url.query}"
    if answer.status != 200:
        said = answer.read(1000).decode(errors="replace")
        raise errors.GuestFailed(
            reason="The hypervisor refuses a disk's content", detail=f"{path}: {answer.status} {said}"
        )
    return answer


def _connect(session: Session, url: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    context = session.context()
    if context is None:
        return http.client.HTTPConnection(url.netloc, timeout=_SILENCE_S)
    return http.client.HTTPSConnection(url.netloc, timeout=_SILENCE_S, context=context)
