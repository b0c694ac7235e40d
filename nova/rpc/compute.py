"""What the conductor asks of a nova-compute."""

import typing
from typing import Any

import oslo_messaging

from nova.rpc.bus import timeout_part
from nova.rpc.client import make_client
from nova.rpc.declaration import cast
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.image import Image
from nova.structs.migration import MigrationProgress
from nova.structs.operation import StepOrder


class ComputeCalls:
    """One host. Long work is a step, ordered by a cast and answered by one; the rest takes seconds."""

    @cast
    def run_step(self, order: StepOrder) -> None:
        """Do a step; the answer goes to the conductor. Doing one twice equals doing it once."""

    def power_state(self, instance_id: str) -> int:
        """What the guest is now, a PowerState. Raises GuestNotFound."""

    def console_output(self, instance_id: str, limit_bytes: int) -> str:
        """Raises GuestNotFound."""

    def console_address(self, instance_id: str, kind: ConsoleKind) -> ConsoleAddress:
        """Raises GuestNotFound, NotImplementedHere."""

    def diagnostics(self, instance_id: str) -> dict[str, Any]:
        """Raises GuestNotFound, NotImplementedHere."""

    @cast
    def cache_images(self, images: list[Image]) -> None:
        """Fetch images before a guest needs them; one that cannot be had is left to that guest."""

    @cast
    def ports_changed(self, instance_id: str) -> None:
        """The Networking service has told of a server's ports: a guest that waits for them need not wait to ask."""

    def connector(self, host: str) -> dict[str, Any]:
        """One of this daemon's hosts as the Block Storage API must know it. Raises NotImplementedHere."""

    def guests(self, host: str) -> dict[str, int]:
        """The guests on one of this daemon's hosts, by uuid, and their power states."""

    def migration_progress(self, instance_id: str) -> MigrationProgress:
        """How far a live migration from this host is."""

    def abort_migration(self, instance_id: str) -> bool:
        """Give a live migration up; False when none is under way here."""

    def force_migration(self, instance_id: str) -> None:
        """Bring it to its end at any price. Raises GuestNotFound, NotImplementedHere."""

    def ping(self) -> str:
        """The host's name."""


# Of the time a user waits: a question that was lost on its way is worth asking again sooner.
_PART = 0.25


def topic(host: str) -> str:
    return f"compute.{host}"


def compute_client(bus: oslo_messaging.Transport, host: str) -> ComputeCalls:
    """The nova-compute of one host."""
    # Not every user may know which host it is.
    timeout_s = timeout_part(bus, _PART)
    return typing.cast(
        ComputeCalls, make_client(bus, topic(host), ComputeCalls, timeout_s=timeout_s, service="nova-compute")
    )
