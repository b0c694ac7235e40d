"""Devices, addresses, routes, rules and namespaces of networks: changed through `ip`, `nft` and /proc/sys."""

import contextlib
import ctypes
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nova.privileged import bounds, rulesets, tools
from nova.privileged.contexts import NETWORK

LOG = logging.getLogger(__name__)

T = TypeVar("T")

_SPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

_WORDS = {
    "SPACE": "(?P<space>" + bounds.NAMESPACE.replace("(?P<realm>", "(?:") + ")",
    "OWN": f"(?P<own>{bounds.DEVICE})",
    "PEER": f"(?P<peer>{bounds.DEVICE})",
    "MEMBER": f"(?P<member>{bounds.DEVICE})",
    "LENT": f"(?P<lent>{bounds.DEVICE})",
    "DEVICE": bounds.DEVICE,
    "N": "[0-9]{1,10}",
    "MAC": "(?:[0-9a-f]{2}:){5}[0-9a-f]{2}",
    # Whose a device of the host is.
    "MARK": '"nova-(?:network|compute) [0-9a-f]{6}"',
    "IP": "[0-9a-f.:]{2,45}",
    "NET": "[0-9a-f.:]{2,45}(?:/[0-9]{1,3})?",
    "DESTINATION": "(?:default|[0-9a-f.:]{2,45}(?:/[0-9]{1,3})?)",
    "TABLE": "[a-z0-9]{1,10}",
}
_ROUTE = "DESTINATION(?: via IP)? dev DEVICE(?: table TABLE)?"
_RULE = "pref N iif DEVICE to NET lookup TABLE"


def _pattern(form: str) -> "re.Pattern[str]":
    """A form of lines as a pattern: its words in capitals stand for _WORDS."""
    return re.compile(re.sub("[A-Z]+", lambda word: _WORDS[word[0]], form))


_ON_HOST = [
    _pattern(form)
    for form in (
        "netns (?:add|del) SPACE",
        "link add OWN type bridge stp_state 0 forward_delay 0",
        "link add OWN type veth peer name PEER netns SPACE",
        "link add link LENT name OWN netns SPACE type macvlan mode bridge",
        "link add OWN type vxlan id N local IP group IP dev DEVICE dstport N ttl N",
        "link set OWN(?: alias MARK)?(?: address MAC)?(?: mtu N)?(?: up)?",
        "link set OWN mtu N master PEER up",
        "link set MEMBER master PEER up",
        "link set OWN addrgenmode none",
        "link del OWN",
        "address (?:replace|del) NET dev OWN",
    )
]
_IN_SPACE = [
    _pattern(form)
    for form in (
        "link set lo up",
        "link set DEVICE address MAC mtu N up",
        "link del DEVICE",
        "addr (?:replace|del) NET dev DEVICE(?: nodad)?",
        f"rule (?:add|del) {_RULE}",
        f"route del {_ROUTE}",
        f"route replace {_ROUTE} proto static",
    )
]
_SHOWN = {
    "addresses": ("-json", "address"),
    "routes of IPv4": ("-json", "-4", "route", "show", "table", "all", "proto", "static"),
    "routes of IPv6": ("-json", "-6", "route", "show", "table", "all", "proto", "static"),
    "rules": ("-json", "rule"),
}


@NETWORK.entrypoint
def change(lines: list[str], space: str) -> None:
    """Lines of `ip`, each done whatever became of those before. Raises CommandFailed with what failed, Refused."""
    bounds.lines(_IN_SPACE if bounds.namespace(space) else _ON_HOST, lines)
    where = ("-n", space) if space else ()
    tools.run("ip", *where, "-force", "-batch", "-", given="\n".join([*lines, ""]))


@NETWORK.entrypoint
def show(space: str, what: str) -> str:
    """What `ip` shows of a namespace, in JSON: addresses, routes of IPv4, routes of IPv6, rules."""
    if not bounds.namespace(space) or what not in _SHOWN:
        raise bounds.Refused(f"nothing to show of {space!r}: {what!r}")
    return tools.run("ip", "-n", space, *_SHOWN[what])


@NETWORK.entrypoint
def load_rules(ruleset: str, space: str) -> None:
    """Load a ruleset into nftables, as a whole or not at all."""
    tools.run("nft", "-f", "-", given=rulesets.check(ruleset, bounds.namespace(space)), namespace=space)


@NETWORK.entrypoint
def tables() -> list[str]:
    """The host's tables of nftables: "table FAMILY NAME"."""
    return tools.run("nft", "list", "tables").splitlines()


@NETWORK.entrypoint
def set_kernel(parameters: dict[str, str], space: str) -> None:
    """Set kernel parameters by their path below /proc/sys. A kernel without one is only logged."""
    bounds.kernel(parameters, bounds.namespace(space))
    if space:
        inside(space, lambda: _write_kernel(parameters))
    else:
        _write_kernel(parameters)


@NETWORK.entrypoint
def look_of(space: str) -> str:
    """The devices, addresses and routes of a namespace, as a text to compare. Raises OSError where there is none."""
    if not bounds.namespace(space):
        raise bounds.Refused("the host's own look is nobody's business")
    return inside(space, _look)


@NETWORK.entrypoint
def number_of(space: str) -> int:
    """What number_around() tells of every process in a namespace. Raises OSError where there is none."""
    if not bounds.namespace(space):
        raise bounds.Refused("the host's own number is nobody's business")
    return inside(space, lambda: number_around("thread-self"))


def number_around(process: int | str) -> int:
    """What tells the network namespace of a process from all others. Raises OSError for a process that has ended.

    It is the inode of a file that each has of its own. /proc/PID/ns/net of another user's process is only for who may
    trace it, which nobody here may.
    """
    return os.stat(f"/proc/{process}/net/dev").st_ino


def inside(space: str, work: Callable[[], T]) -> T:
    """work() with the calling thread in a namespace, for a moment. Raises OSError when there is no such namespace."""
    with open("/proc/thread-self/ns/net") as outside, open(_SPACES / space) as there:
        _enter(there.fileno())
        try:
            return work()
        finally:
            _enter(outside.fileno())


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write_kernel(parameters: dict[str, str]) -> None:
    for name, value in parameters.items():
        path = Path("/proc/sys", name)
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            LOG.warning("%s cannot be set to %s: %s", path, value, error)


def _look() -> str:
    root = Path("/proc/thread-self/net")
    devices = sorted(line.partition(":")[0].strip() for line in (root / "dev").read_text().splitlines()[2:])
    texts = [" ".join(devices), (root / "fib_trie").read_text()]
    for name, columns in (("if_inet6", (0, 2, 5)), ("ipv6_route", (0, 1, 4, 9))):
        with contextlib.suppress(FileNotFoundError):
            # Link-local ones come by themselves, some time after their device.
            lines = [
                line.split() for line in (root / name).read_text().splitlines() if not line.startswith(("fe8", "ff"))
            ]
            # Other columns count uses.
            texts.append("\n".join(sorted(" ".join(line[column] for column in columns) for line in lines)))
    return "\n".join(texts)
