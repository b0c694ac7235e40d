"""On which of two hosts a guest is after a live migration that nobody saw end.

The destination defines the guest (makes it persistent) in the moment in which it takes it over; before that, what is
there is a QEMU that waits. A libvirtd that dies in that moment, on either side, leaves two QEMUs of one guest, and its
successor touches neither. So one of them is ended here before the other may go on: two that run write to two disks.
"""

import contextlib
import logging
from collections.abc import Iterator

import libvirt

from nova import errors
from nova.structs.instance import PowerState
from nova.virt.libvirt import power
from nova.virt.libvirt.connection import Connection, Proxy

LOG = logging.getLogger(__name__)


def has_arrived(there: Connection, uuid: str) -> bool:
    """Whether the guest is at the destination; where it is not, it is kept from arriving any more.

    Raises errors.Unavailable when that cannot be known.
    """
    # It may arrive, or be gone, while it is looked at and ended: it is looked at once more then.
    while (copy := there.find(uuid)) is not None:
        with contextlib.suppress(errors.GuestNotFound):
            if copy.isPersistent():
                return True
            LOG.info("guest %s is not to arrive any more: its QEMU is ended", uuid)
            power.switch_off(copy)
    return False


def settle(here: Connection, uri: str, uuid: str, is_paused: bool) -> bool:
    """Whether the guest is at the destination after a migration of which nothing more is under way.

    uri: of the destination's libvirtd. is_paused: its user has paused the guest. Where it is not there, it goes on
    here. Raises errors.Unavailable when that cannot be known; nothing was changed then.
    """
    domain, state = _look(here, uuid)
    with _destination(uri) as there:
        if state is PowerState.RUNNING:
            # libvirt lets it go on here only when it takes the migration for failed.
            _end_copy_there(there, uuid)
            return False
        if has_arrived(there, uuid):
            if state is not PowerState.PAUSED or _has_run(there.domain(uuid)):
                _go_on(there.domain(uuid), is_paused)
                return True
            end_copy(there, uuid)
    if domain is not None:
        _go_on(domain, is_paused)
    return False


def end_copy(connection: Connection, uuid: str) -> None:
    """What of the guest is at the destination, arrived or not, ends: its source goes on with it."""
    if has_arrived(connection, uuid):
        LOG.warning("guest %s ran on both hosts of its migration: the copy at %s is ended", uuid, connection.uri)
        power.remove(connection.domain(uuid))


def _look(here: Connection, uuid: str) -> tuple[Proxy | None, PowerState]:
    """The guest at its source, None when it is not there (any more), and what it does. Raises errors.Unavailable."""
    domain = here.find(uuid)
    if domain is None:
        return None, PowerState.NOSTATE
    try:
        return domain, _find_state(domain)
    except errors.GuestNotFound:
        # It ended, or left, while it was looked at: its definition goes only when the destination's is written.
        return None, PowerState.NOSTATE


def _find_state(domain: Proxy) -> PowerState:
    """What a guest does, by its QEMU. Raises errors.GuestNotFound, errors.Unavailable.

    Its state alone is, at a libvirtd that came back, what the one before wrote down, until it has found out more.
    """
    try:
        # What asks QEMU waits for that.
        domain.memoryStats()
    except errors.GuestFailed as error:
        if error.details.get("code") != libvirt.VIR_ERR_OPERATION_INVALID:
            raise _changes(error) from error
    return power.read_state(domain)


def _has_run(copy: Proxy) -> bool:
    """Whether a guest that was taken over has run there, as far as anybody can tell: what it wrote then counts."""
    try:
        _find_state(copy)
    except errors.GuestNotFound as error:
        raise _changes(error) from error
    # libvirtd ends at its start a guest whose processors it had not started before it died.
    return tuple(copy.state()) != (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DAEMON)


def _go_on(domain: Proxy, is_paused: bool) -> None:
    """Nobody resumes a guest whose libvirtd died before it could."""
    if not is_paused and power.read_state(domain) is PowerState.PAUSED:
        LOG.info("guest %s goes on after its migration", domain.UUIDString())
        try:
            domain.resume()
        except (errors.GuestFailed, errors.GuestNotFound) as error:
            raise _changes(error) from error


def _changes(error: errors.DomainError) -> errors.Unavailable:
    """A libvirtd that has just come back is still finding out what became of its guests."""
    return errors.Unavailable(service="The hypervisor", reason="the guest changes", detail=error.message)


@contextlib.contextmanager
def _destination(uri: str) -> Iterator[Connection]:
    there = Connection(uri)
    try:
        yield there
    finally:
        there.close()


def _end_copy_there(there: Connection, uuid: str) -> None:
    """A destination that is away is told again when its preparation is undone, or finds that its record is not there."""
    try:
        end_copy(there, uuid)
    except errors.Unavailable as error:
        LOG.warning("whether guest %s has a copy at %s is not known: %s", uuid, there.uri, error)
