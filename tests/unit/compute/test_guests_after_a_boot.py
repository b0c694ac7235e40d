"""Which guests a host starts after its boot: those that are its own by the time it could start them."""

import types

import msgspec
import pytest

from nova.compute.reconcilers.guests import GuestWatch
from nova.structs.instance import PowerState, VmState
from tests.unit.compute.test_power_steps import INSTANCE, Driver

RUNNING = msgspec.structs.replace(INSTANCE, vm_state=VmState.ACTIVE)


class Off(Driver):
    """A hypervisor with one guest, which is off."""

    def guests(self):
        return [types.SimpleNamespace(uuid=INSTANCE.uuid, power_state=PowerState.SHUTDOWN)]


@pytest.mark.parametrize(
    ("later", "starts"),
    [
        ([RUNNING], True),
        # It was evacuated while the host waited for its storage.
        ([], False),
        ([msgspec.structs.replace(RUNNING, task_state="rebuilding")], False),
        ([msgspec.structs.replace(RUNNING, vm_state=VmState.STOPPED)], False),
    ],
    ids=["its own", "evacuated", "being moved", "stopped"],
)
def test_a_guest_is_started_if_its_server_is_here_when_its_volumes_are(later, starts):
    driver, answers = Off(), iter([[RUNNING], later])
    conductor = types.SimpleNamespace(instances_on=lambda host: next(answers))
    host = types.SimpleNamespace(name="here", driver=driver)

    GuestWatch(host, conductor).resume(lambda uuid, function: function())

    assert driver.told[0][0] == "renew"
    assert (PowerState.RUNNING in driver.told) == starts
