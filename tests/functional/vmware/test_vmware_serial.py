"""What guests write to their serial ports, which a collector keeps."""

import msgspec
import pytest
from pyVmomi import vim

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.guest import RebootKind
from tests.functional.driver_contract.hypervisor import HOST, NOW

COLLECTOR = "telnet://collector.example.org:13370"


@pytest.fixture
def collecting(hypervisor, tmp_path):
    """A driver whose guests' serial ports are collected below logs."""
    (tmp_path / "logs").mkdir()
    proxy = "telnets://proxy.example.org:13371"
    options = {"serial_port_proxy_uri": proxy, "serial_log_dir": str(tmp_path / "logs")}
    return hypervisor.driver(serial_port_service_uri=COLLECTOR, **options)


def test_serial_port_is_connected_to_the_collector_through_the_proxy(hypervisor, collecting):
    spec = hypervisor.spec()

    collecting.create(spec)
    collecting.reboot(spec, RebootKind.HARD, NOW)

    (port,) = _ports(hypervisor, spec)
    assert (port.backing.serviceURI, port.backing.direction) == (COLLECTOR, "server")
    assert port.backing.proxyURI == "telnets://proxy.example.org:13371"
    assert port.yieldOnPoll


def test_machine_that_was_made_without_a_serial_port_has_one_after_a_hard_reboot(hypervisor, driver):
    spec = hypervisor.spec()
    driver.create(spec)
    assert _ports(hypervisor, spec) == []

    hypervisor.driver(serial_port_service_uri=COLLECTOR).reboot(spec, RebootKind.HARD, NOW)

    (port,) = _ports(hypervisor, spec)
    assert (port.backing.serviceURI, port.backing.direction, port.backing.proxyURI) == (COLLECTOR, "client", None)


def test_successor_of_another_size_has_a_serial_port(hypervisor, collecting):
    spec = hypervisor.spec()
    collecting.create(spec)
    larger = msgspec.structs.replace(spec, disks_id=DisksId(generation=2, host=HOST), moves_from=spec.disks_id)

    collecting.take_over(larger, collecting.set_aside(spec))

    assert len(_ports(hypervisor, spec)) == 1


@pytest.mark.parametrize("name", ["identity", "server"])
def test_output_is_the_end_of_the_machines_file(hypervisor, collecting, tmp_path, name):
    spec = hypervisor.spec()
    collecting.create(spec)
    names = {"identity": hypervisor.machine(spec.uuid).config.instanceUuid, "server": spec.uuid}
    assert collecting.console_output(spec.uuid, 100) == b""

    (tmp_path / "logs" / names[name].replace("-", "")).write_bytes(b"boot: login: ")

    assert collecting.console_output(spec.uuid, 100) == b"boot: login: "
    assert collecting.console_output(spec.uuid, 7) == b"login: "
    assert collecting.console_output(spec.uuid, 0) == b""


def test_file_that_cannot_be_read_is_told(hypervisor, collecting, tmp_path):
    spec = hypervisor.spec()
    collecting.create(spec)
    (tmp_path / "logs" / spec.uuid.replace("-", "")).mkdir()

    with pytest.raises(errors.GuestFailed, match="cannot be read"):
        collecting.console_output(spec.uuid, 100)


def test_output_without_a_collector_is_refused(hypervisor, driver):
    spec = hypervisor.spec()
    driver.create(spec)

    with pytest.raises(errors.NotImplementedHere):
        driver.console_output(spec.uuid, 100)


def _ports(hypervisor, spec):
    devices = hypervisor.machine(spec.uuid).config.hardware.device
    return [one for one in devices if isinstance(one, vim.vm.device.VirtualSerialPort)]
