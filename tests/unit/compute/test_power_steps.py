"""What a host does before a guest starts."""

import datetime
import types

import pytest

from nova.compute.steps import power
from nova.structs.flavor import Flavor
from nova.structs.instance import BlockDevice, Instance, PowerState, VmState
from nova.structs.steps import BringToArguments, GuestArguments, ReachArguments

VOLUME = BlockDevice(
    id="d", source="volume", destination="volume", volume_id="v", connection_info={"driver_volume_type": "iscsi"}
)
INSTANCE = Instance(
    id=1,
    uuid="one",
    project_id="project",
    user_id="user",
    name="first",
    hostname="first",
    vm_state=VmState.STOPPED,
    flavor=Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=32),
    created_at=datetime.datetime(2026, 1, 1),
    block_devices=(VOLUME, BlockDevice(id="e", source="blank", destination="local")),
)


class Driver:
    """A hypervisor whose guests open volumes by names of the host."""

    def __init__(self):
        self.told = []

    def renew_volumes(self, uuid, disks):
        self.told.append(("renew", *(disk.volume for disk in disks)))

    def set_power(self, uuid, target):
        self.told.append(target)

    def guest(self, uuid):
        return types.SimpleNamespace(power_state=self.told[-1])


@pytest.mark.parametrize(
    ("step", "arguments"),
    [
        (power.power_on, GuestArguments(instance=INSTANCE)),
        (power.bring_to, BringToArguments(instance=INSTANCE, target=PowerState.PAUSED)),
        (power.reach, ReachArguments(instance=INSTANCE, target=PowerState.RUNNING)),
    ],
    ids=["power_on", "bring_to", "reach"],
)
def test_a_guest_starts_when_its_volumes_have_the_names_of_now(step, arguments):
    driver = Driver()

    step(types.SimpleNamespace(driver=driver), arguments)

    assert driver.told[:2] == [("renew", VOLUME), PowerState.RUNNING]
