"""Ports of Open vSwitch that a guest had, whose definition is all that is known of it."""

import os
import xml.etree.ElementTree as ET

import msgspec
import pytest

from nova.structs.network import Vif
from nova.virt.libvirt import vif
from nova.virt.libvirt.domain_xml.facts import Host
from nova.virt.libvirt.domain_xml.interface import interface, tap_name

OVS = Vif(
    port_id="0b4a8b51-0000-4000-8000-000000000001",
    network_id="net",
    network_label="private",
    mac="fa:16:3e:00:00:01",
    vif_type="ovs",
    details={"bridge_name": "br-tenants"},
)
BRIDGE = msgspec.structs.replace(
    OVS, port_id="0b4a8b51-0000-4000-8000-000000000002", vif_type="bridge", details={"bridge_name": "brq1"}
)


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What ovs-vsctl was asked for."""
    program = tmp_path / "ovs-vsctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return lambda: sorted((tmp_path / "asked").read_text().splitlines())


def test_a_guest_that_is_removed_leaves_none_of_the_ports_its_definition_names(asked):
    devices = ET.fromstring("<devices/>")
    for one in (OVS, BRIDGE):
        devices.append(ET.fromstring(ET.tostring(interface(one, None, Host()))))

    vif.remove_taps((), vif.ovs_ports(devices))

    assert asked() == [f"--timeout=20 --if-exists del-port br-tenants {tap_name(OVS)}"]


def test_a_port_that_the_definition_names_too_is_removed_once(asked):
    vif.remove_taps((OVS,), {vif.OvsPort("br-tenants", tap_name(OVS))})

    assert len(asked()) == 1
