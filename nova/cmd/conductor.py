"""nova-conductor: the one door to the compute database, and the engine that runs operations."""

from nova.cmd import start_concurrency

# Its work is transactions and calls, few at a time: native threads do it with a third less processor time.
start_concurrency(auto="threading")

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.conductor.service import Conductor  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [Conductor(conf, connect(conf))]


def main() -> int:
    return daemon.run("nova-conductor", build, workers=lambda conf: conf.conductor.workers or daemon.cores())
