"""nova-compute: does what the steps of operations ask on this host."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.compute.service import Compute  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [Compute(conf, connect(conf))]


def main() -> int:
    return daemon.run("nova-compute", build)
