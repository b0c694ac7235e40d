"""What the conductor asks of a nova-compute."""

from typing import Any, cast

import oslo_messaging

from nova.messaging import rpc
from nova.structs.guest import ConsoleAddress, ConsoleKind
from nova.structs.operation import StepOrder


class ComputeCalls:
    """One host. Long work is a step, ordered by a cast and answered by one; the rest takes seconds."""

    @rpc.cast
    def run_step(self, order: StepOrder) -> None:
        """Do a step; the answer goes to the conductor. Doing one twice equals doing it once."""

    def console_output(self, instance_id: str, limit_bytes: int) -> str:
        """Raises GuestNotFound."""

    def console_address(self, instance_id: str, kind: ConsoleKind) -> ConsoleAddress:
        """Raises GuestNotFound, NotImplementedHere."""

    def diagnostics(self, instance_id: str) -> dict[str, Any]:
        """Raises GuestNotFound, NotImplementedHere."""

    def ping(self) -> str:
        """The host's name."""


def topic(host: str) -> str:
    return f"compute.{host}"


def on_host(bus: oslo_messaging.Transport, host: str, timeout_s: float | None = None) -> ComputeCalls:
    """The nova-compute of one host."""
    return cast(ComputeCalls, rpc.client(bus, topic(host), ComputeCalls, timeout_s=timeout_s))
