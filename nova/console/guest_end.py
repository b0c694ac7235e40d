"""The connection to a guest's console: its port, or the path that a hypervisor's own web server leads through to it."""

import contextlib
import socket
import ssl

from oslo_config import cfg

from nova import concurrency
from nova.structs.guest import ConsoleAddress

_CONNECT_TIMEOUT_S = 10
_LONGEST_HEAD = 8192
_CHUNK = 65536


def tls_context(conf: cfg.ConfigOpts) -> ssl.SSLContext:
    """How a hypervisor's web server proves itself: as to nova-compute, by [xenserver] ca_file and insecure."""
    context = ssl.create_default_context(cafile=conf.xenserver.ca_file)
    if conf.xenserver.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def connect(address: ConsoleAddress, tls: ssl.SSLContext) -> socket.socket:
    """A plain socket that speaks the console's own protocol. Raises OSError."""
    guest = socket.create_connection((address.host, address.port), timeout=_CONNECT_TIMEOUT_S)
    if address.path is None:
        return guest
    with contextlib.ExitStack() as undo:
        undo.callback(guest.close)
        if address.tls_port is not None:
            guest = tls.wrap_socket(guest, server_hostname=address.host)
            undo.callback(guest.close)
        _ask(guest, address)
        undo.pop_all()
    return _uncovered(guest) if isinstance(guest, ssl.SSLSocket) else guest


def _ask(guest: socket.socket, address: ConsoleAddress) -> None:
    """Be led through: CONNECT to the path. Source: XenServer management API guide, "VM consoles"."""
    guest.sendall(f"CONNECT {address.path} HTTP/1.1\r\nHost: {address.host}\r\n\r\n".encode())
    head = b""
    # Byte by byte: what follows the head is the guest's.
    while not head.endswith(b"\r\n\r\n"):
        byte = guest.recv(1)
        if not byte or len(head) > _LONGEST_HEAD:
            raise ConnectionError("the hypervisor does not lead to the console")
        head += byte
    words = head.split(b" ", 2)
    if len(words) < 2 or words[1] != b"200":
        raise ConnectionError(f"the hypervisor refuses the console: {head[:100]!r}")


def _uncovered(secured: ssl.SSLSocket) -> socket.socket:
    """A socket with what the secured one carries: a selector does not see what TLS has read ahead."""
    ours, theirs = socket.socketpair()
    secured.settimeout(None)
    concurrency.spawn(_carry, secured, theirs, name="console-tls-in")
    concurrency.spawn(_carry, theirs, secured, name="console-tls-out")
    return ours


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
