"""Network namespaces of this host: made, filled and deleted as plans say.

Whatever a namespace holds already is looked at, and only what differs is changed. What was made as planned is remembered
with the namespace's inode, so that a run in which nothing changed costs no process. Every now and then all are compared with
how they looked when they were made, which is read from /proc.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nova.network.host import commands
from nova.network.host.connections import forget_translations
from nova.network.host.spaces import Cable, Space
from nova.privileged import announcing, links
from nova.privileged.separation import call

LOG = logging.getLogger(__name__)

_ROOT = Path("/run/netns")
# Of rules and routes, those with this protocol number (static) are ours.
_OURS = "static"


class Namespaces:
    """The namespaces of one nova-network, whose names begin with prefix. owner marks devices on the host's side."""

    def __init__(self, prefix: str, owner: str) -> None:
        self._prefix = prefix
        self._owner = owner
        # As planned, with the inode; and how it looked then.
        self._made: dict[str, tuple[Space, int]] = {}
        self._looks: dict[str, str] = {}

    def converge(self, wanted: Sequence[Space], known: Mapping[str, dict[str, Any]], look_at_all: bool) -> None:
        """Make these namespaces and no others. known: the host's devices. What fails does not prevent the rest."""
        by_name = {space.name: space for space in wanted}
        there = self._names()
        self._delete({path.name for path in self._files()} - by_name.keys())
        new = by_name.keys() - there
        # A name without a namespace is left where somebody's mounts ended, or a machine lost its power.
        commands.batch([f"netns del {name}" for name in sorted(new) if (_ROOT / name).exists()])
        commands.batch([f"netns add {name}" for name in sorted(new)])
        for name in new:
            # Before anything can come in.
            _try(lambda name=name: commands.set_kernel(_kernel(by_name[name], ()), name))  # type: ignore[misc]
        due = [space for space in wanted if self._differs(space) or (look_at_all and self._has_changed(space))]
        inside = {space.name: {} if space.name in new else look(space.name) for space in due}
        commands.batch([line for space in wanted for line in self._outside(space, known, inside, new)])
        for space in due:
            _try(lambda space=space: self._fill(space, inside[space.name], known))  # type: ignore[misc]

    def remove(self) -> None:
        """All of this nova-network, by their prefix."""
        self._delete({path.name for path in self._files()})

    def _names(self) -> set[str]:
        return {path.name for path in self._files() if inode(path.name)}

    def _files(self) -> list[Path]:
        return list(_ROOT.glob(f"{self._prefix}*")) if _ROOT.is_dir() else []

    def _delete(self, names: Iterable[str]) -> None:
        names = sorted(names)
        commands.batch([f"netns del {name}" for name in names])
        for name in names:
            self._made.pop(name, None)
            self._looks.pop(name, None)

    def _differs(self, space: Space) -> bool:
        return self._made.get(space.name) != (space, inode(space.name))

    def _has_changed(self, space: Space) -> bool:
        """Whether somebody has changed a namespace since it was filled. What nobody can see of it is made anew."""
        try:
            if call(links.look_of, space.name) != self._looks.get(space.name):
                return True
            if space.ruleset:
                commands.load_rules(space.ruleset, space.name)
        except (commands.CommandFailed, OSError):
            return True
        return False

    def _outside(
        self, space: Space, known: Mapping[str, Any], inside: Mapping[str, dict[str, Any]], new: Iterable[str]
    ) -> Iterable[str]:
        """Lines of `ip` that make the cables of a space, and join their host's ends with bridges."""
        for cable in space.cables:
            device = cable.device
            state = known.get(device)
            if cable.carrier:
                if space.name in inside and device not in inside[space.name]:
                    yield f"link add link {cable.carrier} name {device} netns {space.name} type macvlan mode bridge"
                continue
            # Its other end went with a namespace that somebody deleted.
            if state and (space.name in new or (space.name in inside and device not in inside[space.name])):
                yield f"link del {device}"
                state = None
            if state is None:
                yield f"link add {device} type veth peer name {device} netns {space.name}"
                # The host has no address on it, not even one that IPv6 gives every device.
                yield f"link set {device} addrgenmode none"
            if (
                state is None
                or state.get("master") != cable.bridge
                or state.get("mtu") != cable.mtu
                or "UP" not in state.get("flags", [])
                or state.get("ifalias") != self._owner
            ):
                yield f"link set {device} mtu {cable.mtu} master {cable.bridge} up"
                yield f"link set {device} alias {_quoted(self._owner)}"

    def _fill(self, space: Space, before: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        lines, new = ["link set lo up"], {}
        for cable in space.cables:
            # One that was made a moment ago was not there when it was looked at.
            state = before.get(cable.device) if cable.carrier or cable.device in known else None
            lines += _device_lines(cable, state)
            new[cable.device] = [address for address in cable.addresses if address not in _held(state or {})]
        wanted = {cable.device for cable in space.cables}
        lines += [f"link del {name}" for name in before if name.startswith("nv") and name not in wanted]
        routes, rules = _known_routes(space.name) if before else (set(), set())
        lines += [f"rule del {rule}" for rule in sorted(rules - set(space.rules))]
        lines += [f"rule add {rule}" for rule in space.rules if rule not in rules]
        lines += [f"route del {route}" for route in sorted(routes - set(space.routes))]
        # A route replaced by itself is the same one; one that a device took with it comes back.
        lines += [f"route replace {route} proto {_OURS}" for route in space.routes]
        commands.batch(lines, space.name)
        commands.set_kernel(_kernel(space, space.cables), space.name)
        if space.ruleset:
            commands.load_rules(space.ruleset, space.name)
        if space.is_router:
            forget_translations(space.name, dict(space.translated), space.own)
            _announce(space.name, new)
        self._made[space.name] = (space, inode(space.name))
        self._looks[space.name] = call(links.look_of, space.name)


def inode(name: str) -> int:
    """What tells a namespace from another one of the same name; 0 where there is none."""
    try:
        state = (_ROOT / name).stat()
    except FileNotFoundError:
        return 0
    return state.st_ino if state.st_dev == os.stat("/proc/self/ns/net").st_dev else 0


def look(name: str) -> dict[str, Any]:
    """The devices of a namespace by name, with their addresses."""
    return {device["ifname"]: device for device in json.loads(call(links.show, name, "addresses"))}


def _kernel(space: Space, cables: Iterable[Cable]) -> dict[str, str]:
    """Kernel parameters, which a new namespace takes from the host where it takes any."""
    forward = "1" if space.is_router else "0"
    parameters = {
        "net/ipv4/ip_forward": forward,
        "net/ipv6/conf/all/forwarding": forward,
        "net/ipv4/conf/all/rp_filter": "1",
        "net/ipv4/conf/default/rp_filter": "1",
        "net/ipv4/conf/all/route_localnet": "0",
        "net/ipv4/conf/default/route_localnet": "0",
        "net/ipv4/conf/all/send_redirects": "0",
        "net/ipv4/conf/default/send_redirects": "0",
        "net/ipv4/conf/all/accept_redirects": "0",
        # One address of a range that goes does not take the others with it.
        "net/ipv4/conf/all/promote_secondaries": "1",
        # A guest must not tell the host's side where the world is.
        "net/ipv6/conf/all/accept_ra": "0",
        "net/ipv6/conf/default/accept_ra": "0",
    }
    for cable in cables:
        parameters[f"net/ipv6/conf/{cable.device}/accept_ra"] = "0"
        parameters[f"net/ipv4/conf/{cable.device}/rp_filter"] = "1"
        parameters[f"net/ipv4/conf/{cable.device}/send_redirects"] = "0"
    return parameters


def _device_lines(cable: Cable, state: Mapping[str, Any] | None) -> list[str]:
    device, lines = cable.device, []
    shown = state or {}
    if shown.get("address") != cable.mac or shown.get("mtu") != cable.mtu or "UP" not in shown.get("flags", []):
        lines.append(f"link set {device} address {cable.mac} mtu {cable.mtu} up")
    held = _held(shown)
    lines += [f"addr del {address} dev {device}" for address in sorted(held - set(cable.addresses))]
    for address in cable.addresses:
        if address not in held:
            # The record says that nobody else has it; what listens on it cannot wait until the kernel has asked.
            lines.append(f"addr replace {address} dev {device}{' nodad' if ':' in address else ''}")
    return lines


def _held(shown: Mapping[str, Any]) -> set[str]:
    """The addresses of a device, without what the kernel gives itself."""
    return {
        f"{one['local']}/{one['prefixlen']}"
        for one in shown.get("addr_info", ())
        # The kernel's own link-local address of IPv6 stays; IPv4's is the metadata service's.
        if not (one["family"] == "inet6" and one["scope"] == "link")
    }


def _announce(space: str, new: Mapping[str, Sequence[str]]) -> None:
    """An address that comes from another router, or with a new device, is known by another MAC to who spoke with it."""
    for device, addresses in new.items():
        if addresses:
            plain = [address.partition("/")[0] for address in addresses]
            _try(lambda device=device, plain=plain: call(announcing.announce, space, device, plain))  # type: ignore[misc]


def _known_routes(name: str) -> tuple[set[str], set[str]]:
    """The routes and rules of ours that a namespace has, in the words of a Space."""
    routes, rules = set(), set()
    for version in ("IPv4", "IPv6"):
        shown = call(links.show, name, f"routes of {version}")
        for route in json.loads(shown or "[]"):
            words = [route["dst"], *(("via", route["gateway"]) if "gateway" in route else ()), "dev", route["dev"]]
            table = ("table", str(route["table"])) if route.get("table") not in (None, "main") else ()
            if version == "IPv6" and route["dst"] == "default":
                words[0] = "::/0"
            routes.add(" ".join([*words, *table]))
    for rule in json.loads(call(links.show, name, "rules")):
        if "iif" in rule and "dst" in rule:
            rules.add(f"pref {rule['priority']} iif {rule['iif']} to {rule['dst']} lookup {rule['table']}")
    return routes, rules


def _quoted(text: str) -> str:
    return f'"{text}"'


def _try(work: Callable[[], None]) -> None:
    try:
        work()
    except (commands.CommandFailed, OSError) as error:
        LOG.error("a namespace of this host does not match the records: %s", error)
