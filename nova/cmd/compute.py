"""nova-compute: does what the steps of operations ask on this host."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.compute.compute_id import ComputeId
from nova.compute.service import Compute
from nova.conf import required
from nova.rpc.bus import connect

NEEDS = (required.credentials("glance"), required.credentials("placement"))


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    # The fake driver's hosts are no machines.
    compute_id = None if conf.compute_driver == "fake.FakeDriver" else ComputeId.from_conf(conf)
    return [Compute(conf, connect(conf), compute_id=compute_id)]


def main() -> int:
    return daemon.run("nova-compute", build, needs=NEEDS)
