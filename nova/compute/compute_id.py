"""The identity of this machine as a host: a UUID in a file named compute_id, which is its node's.

It is read from beside a configuration file or from [DEFAULT] state_path. Where there is none, the one that the first
registration gives is kept in state_path. So a machine that starts under another name is noticed before it
touches a guest. Source: admin guide, "Compute service node identification".
"""

import logging
import uuid as uuids
from pathlib import Path

from oslo_config import cfg

from nova import durable
from nova.conf import BadConfiguration

LOG = logging.getLogger(__name__)

NAME = "compute_id"
# The name under which this machine registered last.
_HOST = "compute_host"


class ComputeId:
    """The file, and the name it was registered with."""

    def __init__(self, state_path: str, config_files: tuple[str, ...] = ()) -> None:
        """Raises BadConfiguration for a file that holds no UUID, and for files that contradict each other."""
        self._directory = Path(state_path)
        places = [*(Path(file).parent for file in config_files), self._directory]
        found = {path: _read(path) for path in dict.fromkeys(place / NAME for place in places) if path.exists()}
        if len(set(found.values())) > 1:
            raise BadConfiguration(
                f"these files name different hosts: {', '.join(map(str, found))}; remove all but one"
            )
        self.uuid: str | None = next(iter(found.values()), None)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> "ComputeId":
        return cls(conf.state_path, tuple(conf.config_file or ()))

    @property
    def last_host(self) -> str | None:
        """The name this machine had when it registered last, if that is known."""
        path = self._directory / _HOST
        return path.read_text().strip() if path.exists() else None

    def keep(self, uuid: str, host: str) -> None:
        """Remember what this machine is registered as."""
        try:
            if self.uuid is None:
                _write(self._directory / NAME, uuid)
                self.uuid = uuid
            if self.last_host != host:
                _write(self._directory / _HOST, host)
        except OSError as error:
            LOG.error("the identity of this host is not kept, and a change of its name will not be noticed: %s", error)


def _read(path: Path) -> str:
    try:
        return str(uuids.UUID(path.read_text().strip()))
    except (OSError, ValueError) as error:
        raise BadConfiguration(f"{path} holds no UUID: {error}") from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, f"{text}\n".encode())
