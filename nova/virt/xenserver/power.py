"""Power states of a VM, and how each is reached."""

import datetime
import logging
from collections.abc import Callable

from nova import errors
from nova.structs.instance import PowerState
from nova.virt.xenserver.identity import Vm
from nova.virt.xenserver.session import GONE, Session, code_of, unless

LOG = logging.getLogger(__name__)

_STATES = {
    "Running": PowerState.RUNNING,
    "Paused": PowerState.PAUSED,
    "Halted": PowerState.SHUTDOWN,
    "Suspended": PowerState.SUSPENDED,
}
# What a guest does meanwhile changes its state under our hands: look, act, and look again.
_MOST_TURNS = 5
_CHANGED = "VM_BAD_POWER_STATE"


def read_state(vm: Vm) -> PowerState:
    return _STATES.get(vm.record["power_state"], PowerState.NOSTATE)


def start(session: Session, vm: Vm, host: str) -> None:
    """Reach Running from any state, on host."""

    def turn(state: str) -> None:
        if state == "Halted":
            session.call("VM.start_on", vm.ref, host, False, False)
        elif state == "Paused":
            session.call("VM.unpause", vm.ref)
        else:
            session.run("VM.resume", vm.ref, False, False)

    _reach(session, vm, "Running", turn)


def pause(session: Session, vm: Vm) -> None:
    def turn(state: str) -> None:
        if state != "Running":
            raise errors.GuestFailed(reason="A guest that does not run cannot be paused")
        session.call("VM.pause", vm.ref)

    _reach(session, vm, "Paused", turn)


def suspend(session: Session, vm: Vm) -> None:
    """The memory is written to the storage for suspended guests."""

    def turn(state: str) -> None:
        if state == "Halted":
            raise errors.GuestFailed(reason="A guest that is off cannot be suspended")
        if state == "Paused":
            session.call("VM.unpause", vm.ref)
        else:
            session.run("VM.suspend", vm.ref)

    _reach(session, vm, "Suspended", turn)


def switch_off(session: Session, vm: Vm) -> None:
    """Power off without asking the guest; no error when it is off, or gone."""
    if not vm.is_off:
        with unless(*GONE):
            _reach(session, vm, "Halted", lambda state: session.call("VM.hard_shutdown", vm.ref))


def shut_down(session: Session, vm: Vm, grace: datetime.timedelta) -> None:
    """Ask the guest to shut down, and switch it off when it does not within grace."""
    if vm.record["power_state"] == "Running" and grace > datetime.timedelta():
        if ask_to_shut_down(session, vm, grace):
            return
        LOG.warning("guest %s did not shut down within %s; switching it off", vm.name, grace)
    _reach(session, vm, "Halted", lambda state: session.call("VM.hard_shutdown", vm.ref))


def ask_to_shut_down(session: Session, vm: Vm, grace: datetime.timedelta) -> bool:
    """Whether the guest shut itself down within grace."""
    try:
        session.run("VM.clean_shutdown", vm.ref, timeout_s=grace.total_seconds())
    except errors.GuestFailed as error:
        LOG.info("guest %s does not shut down by itself: %s", vm.name, error)
    state: str = session.call("VM.get_power_state", vm.ref)
    return state == "Halted"


def _reach(session: Session, vm: Vm, target: str, turn: Callable[[str], object]) -> None:
    """One step towards target after the other, each from the state that the guest has then."""
    state = str(vm.record["power_state"])
    for _ in range(_MOST_TURNS):
        if state == target:
            return
        try:
            turn(state)
        except errors.GuestFailed as error:
            if code_of(error) != _CHANGED:
                raise
        state = session.call("VM.get_power_state", vm.ref)
    if state != target:
        raise errors.GuestFailed(reason=f"The guest stays {state.lower()}")
