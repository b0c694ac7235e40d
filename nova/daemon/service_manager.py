"""What a service manager is told of the daemon, in systemd's protocol (sd_notify): one datagram per message."""

import contextlib
import os
import socket
import time

WATCHDOG = "WATCHDOG=1"

# Programs that the daemon starts are not the daemon, and must not speak for it.
_address = os.environ.pop("NOTIFY_SOCKET", "")
_watchdog_us = os.environ.pop("WATCHDOG_USEC", "")
_said_at = -float("inf")


def notify(message: str) -> None:
    """Say READY=1, STOPPING=1, WATCHDOG=1, STATUS=...; nobody hears it where no service manager has started the daemon.

    WATCHDOG=1 is said as often as it is waited for, however often it comes.
    """
    if not _address or (message == WATCHDOG and not _is_due()):
        return
    # A name that begins with @ is none of a file.
    address = f"\0{_address[1:]}" if _address.startswith("@") else _address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.sendto(message.encode(), address)


def _is_due() -> bool:
    """Three times in the time after which the daemon counts as dead; never, where nobody counts."""
    global _said_at
    now = time.monotonic()
    if not _watchdog_us.isdigit() or now - _said_at < int(_watchdog_us) / 3e6:
        return False
    _said_at = now
    return True
