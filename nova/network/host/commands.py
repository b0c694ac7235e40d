"""This host's network devices, through `ip`, `nft` and sysctl. Each function may find its work done already.

What only root may do is done by nova.privileged, in whichever process that is.
"""

import contextlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nova import concurrency
from nova.privileged import links
from nova.privileged.separation import call
from nova.privileged.tools import CommandFailed, run

__all__ = ["CommandFailed"]

LOG = logging.getLogger(__name__)

# Assigned to VXLAN. Source: RFC 7348.
_VXLAN_PORT = 4789


def batch(lines: Sequence[str], space: str = "") -> None:
    """Lines of `ip`, in a namespace where one is named, each whatever became of those before. What fails is logged."""
    if not lines:
        return
    try:
        call(links.change, list(lines), space)
    except CommandFailed as error:
        failed = [int(number) for number in re.findall(r"Command failed -:(\d+)", str(error))]
        LOG.error("ip: %s (%s)", error, "; ".join(lines[number - 1] for number in failed))


def _change(line: str) -> None:
    """One line of `ip`. Raises CommandFailed."""
    call(links.change, [line], "")


def devices() -> dict[str, dict[str, Any]]:
    """Every network device by name, with its addresses, as `ip -json -details address` shows it."""
    shown = concurrency.run_blocking(run, "ip", "-json", "-details", "address", "show")
    return {device["ifname"]: device for device in json.loads(shown)}


def ensure_bridge(name: str, mtu: int, owner: str, known: dict[str, dict[str, Any]] | None = None) -> None:
    """Create the bridge, or set its MTU and bring it up. A new one is marked with its owner."""
    device = (devices() if known is None else known).get(name)
    if device is None:
        try:
            _change(f"link add {name} type bridge stp_state 0 forward_delay 0")
        except CommandFailed as error:
            if "File exists" not in str(error):
                raise
        # Without an address of its own a bridge takes its lowest member's, and guests' ARP entries go stale.
        _change(f'link set {name} alias "{owner}" address {_new_mac()} mtu {mtu} up')
        return
    if device.get("mtu") != mtu:
        _change(f"link set {name} mtu {mtu}")
    if str(device.get("ifalias")).startswith("nova-compute") and owner.startswith("nova-network"):
        # On the network host nova-network takes the bridge over, to delete it with the network.
        _change(f'link set {name} alias "{owner}"')
    if "UP" not in device.get("flags", []):
        _change(f"link set {name} up")


def ensure_addresses(name: str, wanted: set[str], known: dict[str, dict[str, Any]] | None = None) -> None:
    """Give the device these global addresses (ADDRESS/PREFIX) and no others."""
    held = addresses(name, known)
    for address in wanted - held:
        _change(f"address replace {address} dev {name}")
    for address in held - wanted:
        _change(f"address del {address} dev {name}")


def addresses(name: str, known: dict[str, dict[str, Any]] | None = None) -> set[str]:
    """A device's global addresses, as ADDRESS/PREFIX."""
    device = (devices() if known is None else known).get(name, {})
    return {
        f"{address['local']}/{address['prefixlen']}"
        for address in device.get("addr_info", [])
        if address.get("scope") == "global"
    }


def _plain_addresses(name: str, known: dict[str, dict[str, Any]]) -> set[str]:
    return {address.partition("/")[0] for address in addresses(name, known)}


def ensure_member(device: str, bridge: str, known: dict[str, dict[str, Any]] | None = None) -> None:
    """Make the device a member of the bridge, and bring it up."""
    state = (devices() if known is None else known).get(device)
    if state is None:
        raise CommandFailed(f"There is no network device {device} on this host.")
    if state.get("master") != bridge or "UP" not in state.get("flags", []):
        _change(f"link set {device} master {bridge} up")


class Overlay(msgspec.Struct, frozen=True):
    """How the VXLAN devices of a cloud reach each other: from this host's address, through a multicast group."""

    local: str
    group: str


def ensure_vxlan(
    name: str,
    vni: int,
    overlay: Overlay,
    bridge: str,
    mtu: int,
    owner: str,
    known: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Join the bridge with those of other hosts by a VXLAN device."""
    known = devices() if known is None else known
    if name not in known:
        carrier = next((device for device in known if overlay.local in _plain_addresses(device, known)), "")
        if not carrier:
            raise CommandFailed(f"No network device of this host has the address {overlay.local}.")
        ends = f"local {overlay.local} group {overlay.group} dev {carrier} dstport {_VXLAN_PORT}"
        _change(f"link add {name} type vxlan id {vni} {ends} ttl 4")
        _change(f'link set {name} alias "{owner}" mtu {mtu}')
        known = None
    ensure_member(name, bridge, known)


def delete_device(name: str) -> None:
    """Delete a device, if it exists."""
    try:
        _change(f"link del {name}")
    except CommandFailed as error:
        if "Cannot find device" not in str(error):
            raise


def load_rules(ruleset: str, space: str = "") -> None:
    """Load a ruleset into nftables, as a whole or not at all. Raises CommandFailed."""
    call(links.load_rules, ruleset, space)


def tables() -> set[str]:
    """This host's tables of nftables: "table FAMILY NAME"."""
    return set(call(links.tables))


def delete_table(family: str, name: str) -> None:
    """Delete a table, if it exists."""
    load_rules(f"table {family} {name}\ndelete table {family} {name}\n")


def set_kernel(parameters: Mapping[str, str], space: str = "") -> None:
    """Set kernel parameters, named as their paths below /proc/sys. A kernel without one is only logged."""
    call(links.set_kernel, dict(parameters), space)


def raise_kernel(name: str, least: int) -> None:
    """Raise a limit of the kernel's that is lower."""
    with contextlib.suppress(OSError, ValueError):
        if int(Path("/proc/sys", name).read_text()) < least:
            set_kernel({name: str(least)})


def seal(bridge: str, has_addresses: bool = False) -> None:
    """No IPv6 of this host's own on a bridge without addresses, and no answers for those that it has elsewhere."""
    set_kernel(
        {
            f"net/ipv6/conf/{bridge}/disable_ipv6": "0" if has_addresses else "1",
            f"net/ipv4/conf/{bridge}/route_localnet": "0",
            f"net/ipv4/conf/{bridge}/rp_filter": "1",
            f"net/ipv4/conf/{bridge}/arp_ignore": "1",
        }
    )


def carry(
    bridge: str, details: dict[str, Any], mtu: int, flat_interface: str | None, overlay: Overlay, owner: str
) -> None:
    """Create the bridge of a network, and join it with the other hosts' bridges of that network.

    details are a port's binding:vif_details: network_type, segmentation_id.
    """
    ensure_bridge(bridge, mtu, owner)
    match details.get("network_type", "flat"):
        case "flat" if flat_interface:
            ensure_member(flat_interface, bridge)
        case "vxlan":
            vni = int(details["segmentation_id"])
            ensure_vxlan(f"nvx{vni}", vni, overlay, bridge, mtu, owner)


def _new_mac() -> str:
    """A random locally administered address: bridges of different hosts on one wire must differ."""
    return "02:" + os.urandom(5).hex(":")
