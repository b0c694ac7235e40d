"""The listening socket of the metadata service in a network's namespace, handed to the daemon that serves it."""

import os
import socket
import stat

from nova.privileged import bounds, links
from nova.privileged.contexts import NETWORK

METADATA, PORT = "169.254.169.254", 80


@NETWORK.entrypoint
def listen(space: str, inbox: str) -> None:
    """Listen for guests of a network, and send the socket to a datagram socket of the daemon's. Raises OSError."""
    if not bounds.namespace(space):
        raise bounds.Refused("the metadata service listens in namespaces alone")
    owner = bounds.owner_of_daemon()
    state = os.lstat(inbox)
    if not stat.S_ISSOCK(state.st_mode) or (owner is not None and state.st_uid != owner):
        raise bounds.Refused(f"not a socket of the daemon: {inbox}")
    with links.inside(space, _listen) as listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.connect(inbox)
        socket.send_fds(way, [b"listening"], [listening.fileno()])


def _listen() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sock.bind((METADATA, PORT))
        sock.listen(128)
    except OSError:
        sock.close()
        raise
    return sock
