"""nova-compute: does what the steps of operations ask on this host."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.compute.service import Compute
from nova.rpc.bus import connect


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [Compute(conf, connect(conf))]


def main() -> int:
    return daemon.run("nova-compute", build)
