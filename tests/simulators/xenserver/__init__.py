"""A XenServer pool: its management API over HTTP, strict about types and states, with QEMU guests behind it."""

from tests.simulators.xenserver.pool import Pool

__all__ = ["Pool"]
