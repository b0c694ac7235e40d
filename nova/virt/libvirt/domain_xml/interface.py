"""Network devices."""

import xml.etree.ElementTree as ET

from nova import errors
from nova.structs.guest import GuestSpec
from nova.structs.network import Vif
from nova.virt.libvirt.domain_xml.facts import Host, child, has_packed_rings, image_property, is_true
from nova.virt.libvirt.domain_xml.tuning import bandwidth

_TAP_NAME_LENGTH = 14


def tap_name(vif: Vif) -> str:
    """The device on the host end; network agents recognise a port by it."""
    return f"tap{vif.port_id}"[:_TAP_NAME_LENGTH]


def interface(vif: Vif, spec: GuestSpec | None, host: Host) -> ET.Element:
    """Without a spec (a device plugged in later) the model is virtio. Raises errors.GuestFailed for a port that cannot be
    plugged."""
    if vif.vif_type not in ("bridge", "ovs", "tap"):
        raise errors.GuestFailed(reason=f"Port {vif.port_id} cannot be plugged here: its binding is '{vif.vif_type}'")
    if vif.details.get("ovs_hybrid_plug"):
        # Its filters would be on a bridge in between, which nobody makes here.
        raise errors.GuestFailed(reason=f"Port {vif.port_id} cannot be plugged here: its binding wants a hybrid plug")
    element = ET.Element("interface", type="ethernet" if vif.vif_type == "tap" else "bridge")
    child(element, "mac", address=vif.mac)
    if vif.vif_type != "tap":
        child(element, "source", bridge=str(vif.details.get("bridge_name") or "br-int"))
    if vif.vif_type == "ovs":
        virtual_port = child(element, "virtualport", type="openvswitch")
        child(virtual_port, "parameters", interfaceid=vif.port_id)
    target = child(element, "target", dev=tap_name(vif))
    if vif.vif_type == "tap":
        target.set("managed", "no")
    model = (image_property(spec, "hw_vif_model") if spec else None) or "virtio"
    child(element, "model", type=model)
    if model == "virtio":
        _add_driver(element, _queues(spec, host), spec is not None and has_packed_rings(spec))
    if vif.mtu:
        child(element, "mtu", size=vif.mtu)
    limits = bandwidth(spec) if spec is not None else None
    if limits is not None:
        element.append(limits)
    return element


def _add_driver(element: ET.Element, queues: int, is_packed: bool) -> None:
    options = {"name": "vhost", "queues": str(queues)} if queues > 1 else {}
    if is_packed:
        options["packed"] = "on"
    if options:
        element.append(ET.Element("driver", options))


def _queues(spec: GuestSpec | None, host: Host) -> int:
    if spec is None or not is_true(
        spec.flavor.extra_specs.get("hw:vif_multiqueue_enabled") or image_property(spec, "hw_vif_multiqueue_enabled")
    ):
        return 1
    return min(spec.flavor.vcpus, host.max_queues)
