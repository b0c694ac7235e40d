"""The host's end of guests' network devices: the bridge is there before the guest starts.

libvirt makes the tap device and puts it on the bridge (Linux's or Open vSwitch's) by itself, and it
goes with the guest. So nothing is to be unplugged; a bridge stays, for it belongs to the network.
"""

import logging
import re
import subprocess
from collections.abc import Iterable
from typing import NamedTuple
from xml.etree import ElementTree

from nova import concurrency, errors
from nova.structs.network import Vif
from nova.virt.libvirt.domain_xml.interface import tap_name

LOG = logging.getLogger(__name__)

_ANSWER_S = 60.0
_OVS_ANSWER_S = 20
_DEVICE = re.compile(r"^[A-Za-z0-9_.:-]{1,15}$")


class OvsPort(NamedTuple):
    """name: of the tap device, and of the port."""

    bridge: str
    name: str


def plug(vifs: Iterable[Vif]) -> None:
    """Create the bridge of each VIF. Raises errors.GuestFailed."""
    for vif in vifs:
        if vif.vif_type == "bridge":
            physical = vif.details.get("flat_interface")
            ensure_bridge(str(vif.details.get("bridge_name", "")), vif.mtu, str(physical) if physical else None)


def ensure_bridge(name: str, mtu: int = 0, physical: str | None = None) -> None:
    """Reach: the bridge exists and is up, and the host's physical device is one of its ports.

    A bridge that exists keeps its settings: an operator or another service made it.
    """
    if not _DEVICE.match(name):
        raise errors.GuestFailed(reason="The port's network has no usable bridge name", detail=f"'{name}'")
    if not _exists(name):
        try:
            _ip("link", "add", name, "type", "bridge", "stp_state", "0", "forward_delay", "0")
        except errors.GuestFailed:
            # The network's agent may have been faster.
            if not _exists(name):
                raise
        if mtu:
            _ip("link", "set", name, "mtu", str(mtu))
    _ip("link", "set", name, "up")
    if physical:
        _ip("link", "set", physical, "master", name)
        _ip("link", "set", physical, "up")


def ensure_bridges(devices: ElementTree.Element) -> None:
    """The bridges that a guest's definition names: after the host itself was restarted they are gone."""
    for element in devices.findall("interface[@type='bridge']"):
        source, mtu = element.find("source"), element.find("mtu")
        if source is not None and element.find("virtualport") is None:
            ensure_bridge(source.get("bridge", ""), int(mtu.get("size", "0")) if mtu is not None else 0)


def ovs_ports(devices: ElementTree.Element) -> set[OvsPort]:
    """The ports of Open vSwitch that a guest's definition names."""
    found = set()
    for element in devices.findall("interface[@type='bridge']/virtualport[@type='openvswitch']/.."):
        source, target = element.find("source"), element.find("target")
        if source is not None and target is not None:
            found.add(OvsPort(source.get("bridge", ""), target.get("dev", "")))
    return found


def remove_taps(vifs: Iterable[Vif], defined: Iterable[OvsPort] = ()) -> None:
    """Remove taps that a crashed guest left behind; a tap in use is removed with its guest. defined: further ports.

    Open vSwitch remembers a port whose tap is gone, and would take the next guest of this port for plugged.
    """
    vifs = list(vifs)
    ports = {
        OvsPort(str(vif.details.get("bridge_name") or "br-int"), tap_name(vif)) for vif in vifs if vif.vif_type == "ovs"
    }
    for port in sorted({*ports, *defined}):
        _forget_port(*port)
    for vif in vifs:
        if _exists(tap_name(vif)):
            _ip("link", "del", tap_name(vif))


def _forget_port(bridge: str, name: str) -> None:
    try:
        done = _call("ovs-vsctl", f"--timeout={_OVS_ANSWER_S}", "--if-exists", "del-port", bridge, name)
    except OSError as error:
        LOG.warning("Open vSwitch cannot be asked to remove port %s: %s", name, error)
        return
    if done.returncode:
        LOG.warning("port %s may be left on bridge %s: %s", name, bridge, done.stderr.strip())


def _exists(device: str) -> bool:
    return _call("ip", "link", "show", "dev", device).returncode == 0


def _ip(*words: str) -> None:
    done = _call("ip", *words)
    if done.returncode:
        said = f"ip {' '.join(words)}: {done.stderr.strip()}"
        raise errors.GuestFailed(reason="The guest's network devices cannot be made on its host", detail=said)


def _call(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        completed: subprocess.CompletedProcess[str] = concurrency.run_blocking(
            subprocess.run, list(command), capture_output=True, text=True, timeout=_ANSWER_S
        )
    except subprocess.TimeoutExpired as error:
        raise errors.GuestFailed(reason=f"{command[0]} did not end in time on this host") from error
    return completed
