"""nova-conductor: the one door to the compute database, and the engine that runs operations."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.conductor.service import Conductor
from nova.conf import required
from nova.rpc.bus import connect

NEEDS = (required.database, required.credentials("placement"))


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [Conductor(conf, connect(conf))]


def main() -> int:
    return daemon.run(
        "nova-conductor", build, needs=NEEDS, workers=lambda conf: conf.conductor.workers or daemon.cores()
    )
