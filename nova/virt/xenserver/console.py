"""What a guest wrote to its serial port, and where its screen is reached."""

import base64
import urllib.parse
import zlib

from nova import errors
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import Session, code_of

_PLUGIN = "console.py"
_NO_PLUGIN = "XENAPI_MISSING_PLUGIN"
_FAILED = ("XENAPI_PLUGIN_FAILURE", "XENAPI_PLUGIN_EXCEPTION")


def read_tail(session: Session, vm: Vm, limit_bytes: int) -> bytes:
    """The last bytes of the log that the control domain's plug-in console.py keeps. Nothing for a guest that is off.

    Raises errors.NotImplementedHere where the plug-in is not installed.
    """
    if vm.record["power_state"] not in ("Running", "Paused"):
        return b""
    arguments = {"dom_id": str(vm.record["domid"])}
    try:
        text = session.call("host.call_plugin", vm.record["resident_on"], _PLUGIN, "get_console_log", arguments)
    except errors.GuestFailed as error:
        if code_of(error) == _NO_PLUGIN:
            raise errors.NotImplementedHere(action="show what it wrote: its host has no plug-in console.py") from error
        if code_of(error) in _FAILED:
            return b""
        raise
    return zlib.decompress(base64.b64decode(text))[-limit_bytes:] if limit_bytes else b""


def find_address(session: Session, vm: Vm, kind: ConsoleKind) -> ConsoleAddress:
    """The location of the VM's RFB console: a proxy says CONNECT to its path, and speaks RFB from then on."""
    if kind is ConsoleKind.NOVNC and vm.record["power_state"] in ("Running", "Paused"):
        for ref in vm.record["consoles"]:
            record = session.call("console.get_record", ref)
            if record["protocol"] == "rfb" and record["location"]:
                return _address(record["location"], session.handle)
    raise errors.NotImplementedHere(action=f"offer a {kind} console now")


def _address(location: str, handle: str) -> ConsoleAddress:
    parts = urllib.parse.urlsplit(location)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return ConsoleAddress(
        host=parts.hostname or "",
        port=port,
        tls_port=port if parts.scheme == "https" else None,
        path=f"{parts.path}?{parts.query}&{urllib.parse.urlencode({'session_id': handle})}",
    )
