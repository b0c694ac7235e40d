"""Guests that are started paused, until their ports are plugged, each by a file in [DEFAULT] state_path.

A nova-compute that dies meanwhile knows afterwards which guests it has paused, and not their users, operators or the
hypervisor.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nova import durable

LOG = logging.getLogger(__name__)

_DIRECTORY = "starting"


class Starting:
    """left: the guests of which the start was not brought to its end, by this process or an earlier one.

    Without a state path nothing outlives this process.
    """

    def __init__(self, state_path: str | None = None) -> None:
        self._directory = None if state_path is None else Path(state_path) / _DIRECTORY
        self.left: set[str] = set()
        if self._directory is not None and self._directory.is_dir():
            self.left = {path.name for path in self._directory.iterdir()}

    @contextmanager
    def paused(self, uuid: str) -> Iterator[None]:
        """The guest is started paused in this block, and runs at its end; where that is not reached, it is left."""
        self.left.discard(uuid)
        self._keep(uuid)
        try:
            yield
        except BaseException:
            self.left.add(uuid)
            raise
        self.forget(uuid)

    def forget(self, uuid: str) -> None:
        """The guest is not paused by this host any more, or has gone."""
        self.left.discard(uuid)
        if self._directory is not None:
            try:
                (self._directory / uuid).unlink(missing_ok=True)
            except OSError as error:
                LOG.error("guest %s may be taken for one that waits for its ports: %s", uuid, error)

    def _keep(self, uuid: str) -> None:
        if self._directory is None:
            return
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            (self._directory / uuid).touch(mode=0o600)
            durable.flush(self._directory)
        except OSError as error:
            # The guest is worth more: it stays paused only where this process dies, too.
            LOG.error("guest %s stays paused should this daemon die now: %s", uuid, error)
