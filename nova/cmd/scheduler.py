"""nova-scheduler: chooses hosts for servers and claims them in Placement."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon, identity  # noqa: E402
from nova.conductor import client as conductor_client  # noqa: E402
from nova.heartbeat import Heartbeat  # noqa: E402
from nova.messaging import rpc  # noqa: E402
from nova.placement_client import PlacementClient  # noqa: E402
from nova.scheduler import interface  # noqa: E402
from nova.scheduler.service import Scheduler  # noqa: E402

# A conductor that has not answered by then was not there when it was asked: asking anew is quicker.
_PATIENCE_S = 10.0


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Service]:
    bus = rpc.transport(conf)
    conductor = conductor_client.over_bus(bus, timeout_s=_PATIENCE_S)
    scheduler = Scheduler(
        conf,
        conductor,
        PlacementClient(identity.adapter(conf, "placement")),
    )
    server = rpc.Server(bus, interface.TOPIC, conf.host, interface.SchedulerCalls, scheduler)
    return [scheduler, server, Heartbeat(conductor, "nova-scheduler", conf.host, conf.report_interval)]


def main() -> int:
    return daemon.run("nova-scheduler", build, workers=lambda conf: conf.scheduler.workers or 1)
