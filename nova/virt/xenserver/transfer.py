"""The content of disks, in and out of the pool over HTTP: raw or VHD."""

import http.client
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nova import errors
from nova.virt.xenserver.session import Session

FORMATS = frozenset({"raw", "vhd"})
_CHUNK = 1 << 20
_SILENCE_S = 300.0
_MOST_REDIRECTIONS = 3


def send(session: Session, vdi: str, source: Path, format_: str) -> None:
    """Fill a disk, which nothing uses and which is large enough, from a file. Raises errors.Unavailable, GuestFailed."""

    def body() -> Iterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
                # Under green threads nothing else would run while a fast network takes it all.
                time.sleep(0)

    headers = {"Content-Length": str(source.stat().st_size)}
    answer = _ask(session, "PUT", "/import_raw_vdi", {"vdi": vdi, "format": format_}, body, headers)
    answer.read()


def receive(session: Session, vdi: str, target: Path, format_: str) -> None:
    """Write a disk's content to a file, which is removed when it is not whole."""
    try:
        answer = _ask(session, "GET", "/export_raw_vdi", {"vdi": vdi, "format": format_}, None, {})
        expected = answer.getheader("Content-Length")
        with target.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                time.sleep(0)
            if expected is not None and file.tell() != int(expected):
                raise http.client.IncompleteRead(b"")
    except (OSError, http.client.HTTPException) as error:
        target.unlink(missing_ok=True)
        raise _lost(error) from error
    except errors.DomainError:
        target.unlink(missing_ok=True)
        raise


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
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _lost(error) from error
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


def _lost(error: Exception) -> errors.Unavailable:
    return errors.Unavailable(service="The hypervisor", reason="a disk's transfer broke off", detail=repr(error))
