"""What a daemon is made of."""

from typing import Protocol


class Component(Protocol):
    """What runs inside a daemon's process."""

    def start(self) -> None:
        """Begin to work, in threads of its own, and return."""

    def stop(self) -> None:
        """Take no more work, finish what is short, and return.

        A component may also have checks() -> Sequence[nova.readiness.Check]: what it cannot work without, looked at
        from before start() on; and refusal, which is None until the component finds out that it must not work: then
        why. The daemon ends as for a bad configuration.
        """
