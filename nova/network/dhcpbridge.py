"""nova-dhcpbridge: what dnsmasq runs for each DHCP event (--dhcp-script, --leasefile-ro); it hands the event to nova-network.

dnsmasq starts a process for each lease, so this one has to be there at once: it imports nothing but what the interpreter
has loaded anyhow, and is not below nova.cmd, whose daemons read files first. It reads no configuration and knows no
database: where nova-network listens follows from the server's directory, which dnsmasq was started with.
"""

import os
import sys

# socket itself costs three times as much as all the rest.
from _socket import AF_UNIX, SHUT_WR, SOCK_STREAM, socket

# In dnsmasq's environment: the directory of this DHCP server.
DIRECTORY = "NOVA_DHCP_SERVER"
SOCKET = "leases.sock"
# Between the words of a question; no word can have it.
SEPARATOR = "\0"
OK = b"ok\n"
_ANSWERS_WITHIN_S = 15.0
_LARGEST = 65536
_EVENTS = ("add", "old", "del")
USAGE = f"""\
usage: nova-dhcpbridge init | add|old|del MAC-OR-DUID ADDRESS [HOSTNAME]
dnsmasq runs it ([DEFAULT] dhcpbridge), with {DIRECTORY} in its environment.
"""


def main() -> int:
    """0 when done, 1 when nova-network did not do it, 2 for words that make no sense."""
    action, *words = sys.argv[1:] or [""]
    if action in ("--help", "--version"):
        sys.stdout.write(USAGE if action == "--help" else f"{_version()}\n")
        return 0
    directory = os.environ.get(DIRECTORY, "")
    # dnsmasq has, and may get, kinds of events that are not about leases.
    if action not in ("init", *_EVENTS) and len(words) >= 2:
        return 0
    if not directory or not (len(words) in (2, 3) if action in _EVENTS else (action, words) == ("init", [])):
        sys.stderr.write(USAGE)
        return 2
    try:
        answer = _ask(directory, [action, *(_event(words) if words else ())])
    except OSError as error:
        sys.stderr.write(f"nova-dhcpbridge: nova-network does not answer: {error}\n")
        return 1
    if not answer.startswith(OK):
        sys.stderr.write(f"nova-dhcpbridge: {answer.decode(errors='replace') or 'nova-network gave no answer'}\n")
        return 1
    sys.stdout.write(answer[len(OK) :].decode())
    return 0


def _version() -> str:
    from nova import release  # noqa: PLC0415 - it takes longer than all that an event needs

    return release.version()


def _event(words: list[str]) -> list[str]:
    """What dnsmasq tells of a lease, in its arguments and its environment. Source: dnsmasq(8), --dhcp-script."""
    client, address, *hostname = words
    of = os.environ.get
    named = [of(f"DNSMASQ_{name}", "") for name in ("LEASE_EXPIRES", "CLIENT_ID", "IAID", "SERVER_DUID", "MAC")]
    return [client, address, *(hostname or [""]), *named]


def _ask(directory: str, words: list[str]) -> bytes:
    """nova-network's answer. Raises OSError."""
    # From there: a socket's path has 107 bytes at most, and that of a directory more.
    os.chdir(os.path.dirname(directory))
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(_ANSWERS_WITHIN_S)
    connection.connect(SOCKET)
    connection.sendall(SEPARATOR.join([os.path.basename(directory), *words]).encode(errors="replace"))
    connection.shutdown(SHUT_WR)
    answer = b""
    while part := connection.recv(_LARGEST):
        answer += part
    return answer


if __name__ == "__main__":
    sys.exit(main())
