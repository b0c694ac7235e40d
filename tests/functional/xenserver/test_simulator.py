"""The simulated XenServer refuses what a real one refuses, and runs real guests."""

import base64
import socket
import urllib.parse
import urllib.request
import zlib

import pytest
import XenAPI

from nova import concurrency

MIB = 1 << 20
VM = {
    "name_label": "guest",
    "name_description": "",
    "user_version": "0",
    "is_a_template": False,
    "affinity": "OpaqueRef:NULL",
    "memory_static_min": "0",
    "memory_dynamic_min": str(32 * MIB),
    "memory_dynamic_max": str(32 * MIB),
    "memory_static_max": str(32 * MIB),
    "VCPUs_params": {},
    "VCPUs_max": "1",
    "VCPUs_at_startup": "1",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "destroy",
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "c"},
    "platform": {},
    "PCI_bus": "",
    "other_config": {},
    "recommendations": "",
}
VBD = {
    "userdevice": "0",
    "bootable": True,
    "mode": "RW",
    "type": "Disk",
    "empty": False,
    "other_config": {},
    "qos_algorithm_type": "",
    "qos_algorithm_params": {},
}


@pytest.fixture
def make_disk(client, pool):
    def make(content=b"", size=MIB):
        record = {"name_label": "disk", "SR": pool.storage, "virtual_size": str(size), "type": "user"}
        vdi = client.VDI.create(record | {"sharable": False, "read_only": False, "other_config": {}})
        if content:
            put(pool, client, vdi, content)
        return vdi

    return make


def put(pool, client, vdi, content, format_="raw"):
    session = client.session._Dispatcher__send.__self__._session
    query = urllib.parse.urlencode({"session_id": session, "vdi": vdi, "format": format_})
    request = urllib.request.Request(f"{pool.url}/import_raw_vdi?{query}", data=content, method="PUT")
    assert urllib.request.urlopen(request).status == 200


@pytest.fixture
def guest(client, make_disk, image_file):
    """A guest that runs the tests' operating system."""
    vm = client.VM.create(VM)
    client.VBD.create(VBD | {"VM": vm, "VDI": make_disk(image_file.read_bytes())})
    client.VM.start(vm, False, False)
    return vm


def serial(client, vm):
    record = client.VM.get_record(vm)
    arguments = {"dom_id": record["domid"]}
    text = client.host.call_plugin(record["resident_on"], "console.py", "get_console_log", arguments)
    return zlib.decompress(base64.b64decode(text)).decode()


def refusal(call, *arguments):
    with pytest.raises(XenAPI.Failure) as caught:
        call(*arguments)
    return caught.value.details[0]


def test_guest_boots_from_what_was_imported_and_obeys(client, guest):
    assert concurrency.wait_for(lambda: "." in serial(client, guest), 60)
    client.VM.pause(guest)
    assert client.VM.get_power_state(guest) == "Paused"
    client.VM.unpause(guest)
    client.VM.suspend(guest)
    assert client.VM.get_power_state(guest) == "Suspended"
    client.VM.resume(guest, False, False)
    client.VM.clean_shutdown(guest)

    assert client.VM.get_power_state(guest) == "Halted"


def test_screen_speaks_rfb(client, guest, pool):
    location = urllib.parse.urlsplit(client.console.get_location(client.VM.get_consoles(guest)[0]))
    session = client.session._Dispatcher__send.__self__._session
    with socket.create_connection((location.hostname, location.port)) as screen:
        screen.sendall(f"CONNECT {location.path}?{location.query}&session_id={session} HTTP/1.0\r\n\r\n".encode())
        answer = b""
        while b"RFB" not in answer:
            answer += screen.recv(100)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_records_are_checked_field_by_field(client):
    assert refusal(client.VM.create, {"name_label": "guest"}) == "INTERNAL_ERROR"
    assert refusal(client.VM.create, VM | {"VCPUs_max": 1}) == "FIELD_TYPE_ERROR"
    assert refusal(client.VM.create, VM | {"other_config": {"a": 1}}) == "FIELD_TYPE_ERROR"
    assert refusal(client.VM.start, "OpaqueRef:NULL", False, False) == "HANDLE_INVALID"
    assert refusal(client.VM.start, "OpaqueRef:NULL", False) == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert refusal(client.VM.fly, "OpaqueRef:NULL") == "MESSAGE_METHOD_UNKNOWN"


def test_operations_are_allowed_by_the_guests_state(client, guest, make_disk):
    assert refusal(client.VM.start, guest, False, False) == "VM_BAD_POWER_STATE"
    assert refusal(client.VM.unpause, guest) == "VM_BAD_POWER_STATE"
    assert refusal(client.VM.destroy, guest) == "VM_BAD_POWER_STATE"
    vbd = client.VM.get_VBDs(guest)[0]
    assert refusal(client.VBD.destroy, vbd) == "OPERATION_NOT_ALLOWED"
    assert refusal(client.VDI.destroy, client.VBD.get_VDI(vbd)) == "VDI_IN_USE"
    second = client.VBD.create(VBD | {"VM": guest, "VDI": make_disk(), "userdevice": "5"})
    client.VBD.plug(second)
    assert refusal(client.VBD.plug, second) == "DEVICE_ALREADY_ATTACHED"


def test_disk_of_a_running_guest_has_no_second_writer(client, guest):
    other = client.VM.create(VM)
    client.VBD.create(VBD | {"VM": other, "VDI": client.VBD.get_VDI(client.VM.get_VBDs(guest)[0])})

    assert refusal(client.VM.start, other, False, False) == "VDI_IN_USE"


def test_full_storage_says_so(client, make_disk):
    assert refusal(make_disk, b"", 200 << 30) == "SR_BACKEND_FAILURE_44"


def test_guest_that_switches_itself_off_is_told_of(client, guest, pool):
    events = getattr(client.event, "from")
    token = events(["vm"], "", 0.0)["token"]

    pool.vms.guests[guest].order("quit")

    found = events(["vm"], token, 20.0)["events"]
    assert [(event["ref"], event["operation"]) for event in found] == [(guest, "mod")]
    assert concurrency.wait_for(lambda: client.VM.get_power_state(guest) == "Halted", 10)


def test_a_slave_names_its_master(make_pool):
    pool = make_pool(hosts=("xen1", "xen2"))
    slave = XenAPI.Session(pool.url_of("xen2"))

    with pytest.raises(XenAPI.Failure) as caught:
        slave.xenapi.login_with_password(pool.user, pool.password)

    assert caught.value.details == ["HOST_IS_SLAVE", "127.0.0.1"]
