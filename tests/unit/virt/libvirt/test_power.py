"""Why a guest is paused."""

import libvirt
import pytest

from nova.virt.libvirt import power


class Domain:
    def __init__(self, *state):
        self._state = state

    def state(self):
        return self._state


@pytest.mark.parametrize(
    ("reason", "is_halted"),
    [
        (libvirt.VIR_DOMAIN_PAUSED_USER, False),
        (libvirt.VIR_DOMAIN_PAUSED_STARTING_UP, False),
        (libvirt.VIR_DOMAIN_PAUSED_IOERROR, True),
        (libvirt.VIR_DOMAIN_PAUSED_MIGRATION, True),
        (libvirt.VIR_DOMAIN_PAUSED_POSTCOPY_FAILED, True),
        (libvirt.VIR_DOMAIN_PAUSED_UNKNOWN, True),
    ],
)
def test_what_the_hypervisor_has_paused_by_itself_is_halted(reason, is_halted):
    assert power.is_halted(Domain(libvirt.VIR_DOMAIN_PAUSED, reason)) is is_halted


def test_a_guest_that_runs_is_not_halted():
    assert not power.is_halted(Domain(libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_RUNNING_UNPAUSED))
