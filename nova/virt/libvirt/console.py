"""What a guest wrote to its serial port, and where its screen listens."""

import socket
import xml.etree.ElementTree as ET
from pathlib import Path

from nova import errors
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.virt.libvirt.disk_calls import bounded_in_time

_GRAPHICS = {ConsoleKind.NOVNC: "vnc", ConsoleKind.SPICE_HTML5: "spice", ConsoleKind.SPICE_DIRECT: "spice"}
# virtlogd rotates console.log into console.log.0, .1, ...
_MOST_ROTATED = 8


@bounded_in_time
def read_tail(log: Path, limit_bytes: int) -> bytes:
    """The last limit_bytes of the log, going back across its rotation. No log is no output."""
    content = b""
    for path in (log, *(Path(f"{log}.{number}") for number in range(_MOST_ROTATED))):
        missing = limit_bytes - len(content)
        if missing <= 0 or not path.exists():
            break
        content = _tail(path, missing) + content
    return content


def find_address(definition: str, kind: ConsoleKind, addresses: dict[ConsoleKind, str]) -> ConsoleAddress:
    """Where a running guest's console of this kind is reached. addresses: this host's, as the proxy knows it."""
    devices = ET.fromstring(definition).find("devices")
    port = tls_port = None
    if devices is not None and kind == ConsoleKind.SERIAL:
        port = next((s.get("service") for s in devices.findall("serial[@type='tcp']/source")), None)
    elif devices is not None:
        element = devices.find(f"graphics[@type='{_GRAPHICS[kind]}']")
        port = element.get("port") if element is not None else None
        tls_port = element.get("tlsPort") if element is not None else None
    # libvirt says -1 for a guest that does not run.
    if port is None or int(port) < 0:
        raise errors.NotImplementedHere(action=f"offer a {kind} console now")
    usable_tls_port = int(tls_port) if tls_port and int(tls_port) > 0 else None
    return ConsoleAddress(host=addresses[kind], port=int(port), tls_port=usable_tls_port)


def choose_port(address: str) -> int:
    """A free port on address. Another may take it before the guest does: the guest's start fails then, and is repeated."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(path: Path, limit_bytes: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - limit_bytes))
        return file.read()
