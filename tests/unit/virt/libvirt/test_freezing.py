"""A guest whose file systems were to be frozen writes again, whatever became of the freeze."""

import contextlib

import libvirt
import pytest

from nova import errors
from nova.virt.libvirt import snapshot, volume_snapshot

CHANNEL = "<channel><target name='org.qemu.guest_agent.0' state='connected'/></channel>"
LATE = errors.GuestFailed(reason="no answer", code=libvirt.VIR_ERR_AGENT_UNRESPONSIVE)
REFUSED = errors.GuestFailed(reason="the command is switched off", code=libvirt.VIR_ERR_OPERATION_UNSUPPORTED)
GONE = errors.Unavailable(service="libvirt", reason="it is gone")


class Guest:
    """answers: what the agent says to each command in turn; a freeze that is late is done all the same."""

    def __init__(self, *answers, devices=CHANNEL):
        self.answers = list(answers)
        self.devices = devices
        self.is_frozen = False
        self.calls = []

    def isActive(self):  # noqa: N802
        return True

    def XMLDesc(self, flags):  # noqa: N802
        return f"<domain><devices>{self.devices}</devices></domain>"

    def agentSetResponseTimeout(self, timeout_s, flags):  # noqa: N802
        pass

    def fsFreeze(self, mountpoints, flags):  # noqa: N802
        self.calls.append("freeze")
        if self.is_frozen:
            raise errors.GuestFailed(reason="the command is not allowed in frozen state")
        answer = self.answers.pop(0) if self.answers else None
        self.is_frozen = answer in (None, LATE, GONE)
        if answer is not None:
            raise answer

    def fsThaw(self, mountpoints, flags):  # noqa: N802
        self.calls.append("thaw")
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        self.is_frozen = False


@pytest.mark.parametrize(
    "answers",
    [(None, None), (None, LATE), (None, LATE, LATE, LATE), (None, REFUSED), (REFUSED, None)],
    ids=["in time", "late", "very late", "refused", "refuses to thaw what is not frozen"],
)
def test_guest_writes_again_after_its_copy(answers):
    guest = Guest(*answers)
    with snapshot.file_systems_frozen(guest):
        is_frozen = guest.is_frozen

    assert not guest.is_frozen
    assert is_frozen == (REFUSED is not answers[1])


def test_guest_writes_again_when_libvirtd_did_not_answer_to_the_freeze():
    guest = Guest(None, GONE)
    with contextlib.suppress(errors.Unavailable), snapshot.file_systems_frozen(guest):
        raise AssertionError("nothing is copied")

    assert not guest.is_frozen


def test_guest_writes_again_when_its_copy_fails():
    guest = Guest()
    with pytest.raises(ValueError), snapshot.file_systems_frozen(guest):
        raise ValueError

    assert not guest.is_frozen


def test_guest_that_a_killed_step_has_frozen_is_frozen_again_and_thawed():
    guest = Guest()
    guest.is_frozen = True
    with snapshot.file_systems_frozen(guest):
        assert guest.is_frozen

    assert not guest.is_frozen
    assert guest.calls == ["thaw", "freeze", "thaw"]


def test_agent_that_does_not_answer_is_not_asked_to_freeze():
    guest = Guest(LATE)
    with snapshot.file_systems_frozen(guest):
        """The copy is made as things are."""

    assert guest.calls == ["thaw"]


def test_volume_that_a_killed_step_has_moved_to_its_new_file_is_thawed():
    disk = """<disk type='file'><driver name='qemu' type='qcow2'/><source file='/v/new'/><target dev='vdb'/>
        <serial>volume</serial></disk>"""
    guest = Guest(devices=CHANNEL + disk)
    guest.is_frozen = True

    volume_snapshot.take(guest, "volume", "new")

    assert not guest.is_frozen
