"""A libvirtd, a guest or a file system that answers nothing: who waits is told so, and the rest of the host goes on."""

import os
import shutil
import signal
import threading

import pytest

from nova import concurrency, errors
from nova.structs.instance import PowerState
from nova.virt.libvirt import connection

# Far longer than any bound of the driver's: what takes longer hangs.
HANGS_S = 150


@pytest.fixture
def silent_libvirtd(host):
    """A libvirtd that accepts connections and answers nothing."""
    host.libvirtd("stop")
    yield
    host.libvirtd("continue")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(connection, "_ANSWER_S", 4.0)
    monkeypatch.setattr(connection, "_OPEN_S", 2.0)


def test_call_that_a_silent_libvirtd_leaves_unanswered_ends_and_works_again_afterwards(driver, host, make_spec):
    spec = make_spec()
    driver.create(spec)

    host.libvirtd("stop")
    try:
        with pytest.raises(errors.Unavailable, match="libvirt"):
            concurrency.call_within(HANGS_S, driver.set_power, spec.uuid, PowerState.PAUSED)
        with pytest.raises(errors.Unavailable, match="accepts no connection for"):
            concurrency.call_within(HANGS_S, driver.guest, spec.uuid)
    finally:
        host.libvirtd("continue")
    assert concurrency.wait_for(lambda: is_well(lambda: driver.guest(spec.uuid)), 90)

    driver.set_power(spec.uuid, PowerState.PAUSED)
    assert driver.guest(spec.uuid).power_state == PowerState.PAUSED


def test_driver_that_starts_beside_a_silent_libvirtd_says_so(host, impatient, monkeypatch, silent_libvirtd):
    monkeypatch.setattr("nova.virt.libvirt.driver._START_PATIENCE_S", 0.1)
    driver = host.driver()

    with pytest.raises(errors.Unavailable, match="accepts no connection for"):
        concurrency.call_within(HANGS_S, driver.start)


def test_crowd_that_asks_a_silent_libvirtd_costs_one_thread(driver, host, impatient, silent_libvirtd):
    with pytest.raises(errors.Unavailable):
        driver.guests()
    before = native_calls()

    for _ in range(30):
        with pytest.raises(errors.Unavailable):
            driver.guests()

    # One of them is the call that was given up before.
    assert native_calls() <= before + 1


def test_guest_that_does_not_answer_holds_up_no_other(driver, host, impatient, make_spec, wait_for_output):
    stuck, other = make_spec(), make_spec()
    for spec in (stuck, other):
        driver.create(spec)
        wait_for_output(spec.uuid, "guest is up")

    host.signal_qemu(stuck.uuid, signal.SIGSTOP)
    try:
        # More than the five requests that libvirtd takes of one client at a time.
        refused = [ask_for(lambda: driver.diagnostics(stuck.uuid)) for _ in range(8)]
        driver.set_power(other.uuid, PowerState.PAUSED)
        answers = [thread() for thread in refused]
    finally:
        host.signal_qemu(stuck.uuid, signal.SIGCONT)

    assert driver.guest(other.uuid).power_state == PowerState.PAUSED
    assert all(isinstance(answer, errors.DomainError) for answer in answers)
    assert concurrency.wait_for(lambda: is_well(lambda: driver.diagnostics(stuck.uuid)), 90)


def test_file_that_does_not_open_is_given_up_and_holds_up_no_other_guest(
    driver, host, make_spec, wait_for_output, monkeypatch
):
    monkeypatch.setattr("nova.virt.libvirt.disk_calls._QUICK_S", 1.0)
    stuck, other = make_spec(), make_spec()
    for spec in (stuck, other):
        driver.create(spec)
        wait_for_output(spec.uuid, "guest is up")
    # As a file on an NFS whose server is away: whoever opens it waits.
    formats = host.instances / stuck.uuid / "formats.json"
    shutil.move(formats, formats.with_suffix(".kept"))
    os.mkfifo(formats)

    try:
        for _ in range(3):
            with pytest.raises(errors.Unavailable, match="has not answered"):
                concurrency.call_within(HANGS_S, driver.resize_disks, off(driver, stuck))
        assert "guest is up" in driver.console_output(other.uuid, 65536).decode()
        driver.set_power(other.uuid, PowerState.PAUSED)
    finally:
        os.close(os.open(formats, os.O_WRONLY))
        shutil.move(formats.with_suffix(".kept"), formats)

    assert driver.guest(other.uuid).power_state == PowerState.PAUSED
    assert concurrency.wait_for(lambda: is_well(lambda: driver.resize_disks(stuck)), 90)


def test_check_tells_of_disks_and_of_a_libvirtd_that_do_not_answer(driver, host, impatient, monkeypatch):
    driver.check()

    nfs_is_back = threading.Event()
    with monkeypatch.context() as hanging:
        hanging.setattr("nova.virt.libvirt.disk_calls.os.statvfs", lambda path: nfs_is_back.wait(HANGS_S))
        hanging.setattr("nova.virt.libvirt.disk_calls._LOOK_S", 0.2)
        with pytest.raises(errors.Unavailable, match="storage of the host's disks"):
            driver.check()
    nfs_is_back.set()
    assert concurrency.wait_for(lambda: is_well(driver.check), 90)

    host.libvirtd("stop")
    try:
        with pytest.raises(errors.Unavailable, match="libvirt"):
            concurrency.call_within(HANGS_S, driver.check)
    finally:
        host.libvirtd("continue")


def off(driver, spec):
    driver.set_power(spec.uuid, PowerState.SHUTDOWN)
    return spec


def native_calls():
    return sum(thread.name == "native-call" for thread in threading.enumerate())


def ask_for(function):
    """Begin a call that is to fail; calling what this returns gives the error."""
    outcome = []

    def run():
        try:
            outcome.append(function())
        except errors.DomainError as error:
            outcome.append(error)

    thread = concurrency.spawn(run)

    def answer():
        thread.join(HANGS_S)
        return outcome[0] if outcome else None

    return answer


def is_well(function):
    try:
        function()
    except errors.DomainError:
        return False
    return True
