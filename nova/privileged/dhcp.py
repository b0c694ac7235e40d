"""dnsmasq: started in a network's namespace as a user who owns nothing, told to read its files again, and ended.

Its directory, DIRECTORY of the daemon's networks_path, is the daemon's: hosts and options, which it reads. What it writes, its
leases and its pid, is in run/ below, which is its own. Whoever has got into either of them could lay links there: so
files are opened from their directory, never followed, and never written as root where they are there already.
"""

import contextlib
import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

from nova.privileged import bounds, tools
from nova.privileged.contexts import NETWORK

_LEAST = "+net_admin,+net_raw,+net_bind_service"
NOBODY = 65534
# What nova-dhcpbridge, which dnsmasq starts, finds its server by.
_DIRECTORY = "NOVA_DHCP_SERVER"
_SIGNALS = {"read again": signal.SIGHUP, "end": signal.SIGTERM, "die": signal.SIGKILL}
_OPTION = re.compile(
    r"--port=0|--enable-ra|--dhcp-authoritative|--no-resolv|--interface=[A-Za-z0-9_][A-Za-z0-9_.:-]{0,14}"
    r"|--domain=[A-Za-z0-9.-]{1,255}|--server=[0-9A-Za-z.:#@%/_-]{1,255}|--dhcp-lease-max=[0-9]{1,10}"
    r"|--ra-param=[A-Za-z0-9_.:-]{1,15},[0-9]{1,5},[0-9]{1,5}|--conf-file=(?P<file>.*)"
    r"|--leasefile-ro|--dhcp-script=(?P<script>/[A-Za-z0-9/._+-]{1,254})"
    r"|--dhcp-range=set:[A-Za-z0-9-]{1,60}(?:,[0-9a-z.:-]{1,45}){2,4}"
)
_LEASES = re.compile(r"[\x20-\x7e\n]*")


@NETWORK.entrypoint
def start_dhcp(root: str, name: str, space: str, options: list[str], leases: str) -> None:
    """Start the server of one directory, with these leases. Raises CommandFailed with what dnsmasq said."""
    directory = bounds.dhcp_directory(root, name)
    if not bounds.namespace(space):
        raise bounds.Refused("DHCP servers are in namespaces alone")
    for option in options:
        match = bounds.check(_OPTION, option, "option of a DHCP server")
        if match["file"] is not None:
            bounds.dnsmasq_config_file(match["file"])
        if match["script"] is not None:
            bounds.dhcpbridge(match["script"])
    bounds.check(_LEASES, leases, "leases")
    with _opened(directory) as parent:
        uid, gid = _user(directory, os.fstat(parent))
        with contextlib.suppress(FileExistsError):
            os.mkdir("run", 0o755, dir_fd=parent)
        with _opened("run", parent) as run:
            os.fchown(run, uid, gid)
            _replace(run, "leases", leases, uid, gid)
    own = ["--no-hosts", "--strict-order", "--bind-interfaces", "--except-interface=lo", "--dhcp-ignore=tag:!known"]
    own += [f"--pid-file={directory}/run/pid", f"--dhcp-leasefile={directory}/run/leases"]
    own += [f"--dhcp-hostsfile={directory}/hosts", f"--dhcp-optsfile={directory}/options"]
    tools.run(*_as(uid, gid), *own, *options, namespace=space, environment={_DIRECTORY: str(directory)})


@NETWORK.entrypoint
def signal_dhcp(root: str, name: str, what: str) -> None:
    """Tell the server of one directory to read again, end or die, if it runs."""
    directory = bounds.dhcp_directory(root, name)
    if what not in _SIGNALS:
        raise bounds.Refused(f"nothing to tell a DHCP server: {what!r}")
    # The second one is that of a server of an earlier release.
    for path in (directory / "run/pid", directory / "pid"):
        with contextlib.suppress(OSError, ValueError, OverflowError):
            pid = int(path.read_text()[:20])
            descriptor = os.pidfd_open(pid)
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if Path(os.fsdecode(words[0])).name == "dnsmasq" and f"--pid-file={path}".encode() in words:
                    signal.pidfd_send_signal(descriptor, _SIGNALS[what])
            finally:
                os.close(descriptor)


@NETWORK.entrypoint
def forget_dhcp(root: str, name: str) -> None:
    """Remove what the server of one directory wrote."""
    directory = bounds.dhcp_directory(root, name)
    with contextlib.suppress(FileNotFoundError), _opened(directory) as parent:
        with _opened("run", parent) as run:
            for file in ("pid", "leases", "leases.new"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file, dir_fd=run)
        os.rmdir("run", dir_fd=parent)


@contextlib.contextmanager
def _opened(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """A directory, which is no link. A path from the root leads to what is the daemon's. Raises OSError, Refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        owner = bounds.owner_of_daemon()
        if parent is None and owner is not None and os.fstat(descriptor).st_uid != owner:
            raise bounds.Refused(f"not a directory of the daemon: {path}")
        yield descriptor
    finally:
        os.close(descriptor)


def _user(directory: Path, state: os.stat_result) -> tuple[int, int]:
    """Whom a server runs as: nobody, where nobody can read its directory; else its owner, who is all that is left."""
    ways = [state.st_mode, *(path.stat().st_mode for path in directory.resolve().parents)]
    if all(mode & stat.S_IXOTH for mode in ways):
        return NOBODY, NOBODY
    return state.st_uid, state.st_gid


def _as(uid: int, gid: int) -> list[str]:
    """The start of dnsmasq's command. By itself it would change its user only after it had opened its files."""
    if uid == 0:
        return ["dnsmasq", "--user=root"]
    rights = [f"--{kind}=-all,{_LEAST}" for kind in ("bounding-set", "inh-caps", "ambient-caps")]
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *rights, "dnsmasq"]


def _replace(directory: int, name: str, text: str, uid: int, gid: int) -> None:
    """A file of the server's, made anew: none that is there is written."""
    new = f"{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=directory)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory)
    with open(descriptor, "w") as file:
        os.fchown(descriptor, uid, gid)
        file.write(text)
    os.replace(new, name, src_dir_fd=directory, dst_dir_fd=directory)
