"""A running guest moves to another host, and is known to be on one of the two afterwards, whatever has failed."""

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
from oslo_config import cfg

from nova import errors
from nova.structs.guest import GuestSpec
from nova.virt.libvirt import migration, power, switch_over, vif
from nova.virt.libvirt.connection import Connection
from nova.virt.libvirt.definition import Definitions
from nova.virt.libvirt.guest_disks import GuestDisks
from nova.virt.libvirt.volumes import VolumeConnections


class LiveMigrations:
    """Live migrations from and to one host, each in its guest's turn; nova.virt.driver.LiveMigration says what for."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        connection: Connection,
        disks: GuestDisks,
        volumes: VolumeConnections,
        definitions: Definitions,
    ) -> None:
        self._conf, self._connection = conf, connection
        self._disks, self._volumes, self._definitions = disks, volumes, definitions

    def prepare_destination(self, spec: GuestSpec) -> dict[str, Any]:
        """On the destination: be ready for the guest, and say what its source must know."""
        with contextlib.ExitStack() as undo:
            domain = self._connection.find(spec.uuid)
            if domain is not None and self._disks.awaits(spec):
                power.remove(domain)
            elif domain is not None and domain.isPersistent():
                # Being defined is what tells that a guest has arrived.
                reason = "a guest of this server is defined here already"
                raise errors.HostRefused(host=self._conf.host, reason=reason)
            self._definitions.disconnect_left_over(spec)
            is_shared, token = self._disks.make_incoming(spec, undo)
            vif.plug(spec.vifs)
            drives = self._definitions.plan(spec, undo)
            prepared = migration.describe_destination(
                spec, self._conf, self._definitions.facts(), is_shared, drives, token
            )
            undo.pop_all()
        return dict(msgspec.to_builtins(prepared))

    def migrate(
        self, spec: GuestSpec, to: str, facts: dict[str, Any], progress: Callable[[int], bool], is_paused: bool
    ) -> None:
        """On the source: move the guest. Raises errors.Unavailable while nobody knows where it is, and another
        errors.DomainError where it has stayed."""
        destination = msgspec.convert(facts, migration.Facts)
        uri = migration.remote_uri(self._conf, to, destination)
        try:
            self._leave(spec, uri, destination, progress)
        except errors.DomainError as error:
            has_left = self._has_left(spec, uri, is_paused, progress)
            self._disks.end_move(spec)
            if not has_left:
                raise _final(error) from error
        else:
            self._disks.end_move(spec)

    def abort_destination(self, spec: GuestSpec, stays_away: bool) -> None:
        """On the destination: be ready no more. Raises errors.PointPassed where the guest has arrived."""
        if stays_away:
            switch_over.end_copy(self._connection, spec.uuid)
        elif switch_over.has_arrived(self._connection, spec.uuid):
            raise errors.PointPassed(reason="The guest has arrived: there is nothing to abort")
        self._volumes.disconnect_all(spec.uuid)
        self._disks.abort_incoming(spec)

    def _leave(self, spec: GuestSpec, uri: str, destination: migration.Facts, progress: Callable[[int], bool]) -> None:
        """Begin to move the guest, and watch it to its end. Raises errors.DomainError when it may have stayed."""
        domain = self._connection.find(spec.uuid)
        if domain is None or not power.is_active(domain):
            raise errors.GuestFailed(reason="A guest that does not run cannot be moved live")
        if destination.is_shared:
            self._disks.prove_shared(spec.uuid, destination.token)
        migration.check_name(uri)
        if not self._disks.begin_move(spec):
            # What has been copied before is old by now.
            raise errors.GuestFailed(reason="The live migration broke off")
        migration.move(domain, spec, uri, destination, self._conf, progress)

    def _has_left(self, spec: GuestSpec, uri: str, is_paused: bool, progress: Callable[[int], bool]) -> bool:
        """Where the guest is after all. Raises errors.Unavailable while that is not known, errors.Cancelled."""
        domain = self._connection.find(spec.uuid)
        # libvirtd goes on with what a nova-compute began that was killed, or whose connection broke.
        is_aborted = domain is not None and not migration.watch(domain, spec, self._conf, progress)
        if switch_over.settle(self._connection, uri, spec.uuid, is_paused):
            return True
        if is_aborted:
            raise errors.Cancelled("The live migration was aborted.", stays=True)
        return False


def _final(error: errors.DomainError) -> errors.DomainError:
    """Why the guest stays, which is known by now whatever did not answer before."""
    if isinstance(error, errors.Cancelled):
        return errors.Cancelled(error.message, stays=True)
    return error.turned_into(errors.GuestStays)
