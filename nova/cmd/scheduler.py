"""nova-scheduler: chooses hosts for servers and claims them in Placement."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.clients import adapters  # noqa: E402
from nova.clients.placement import PlacementClient  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402
from nova.rpc.conductor import conductor_client  # noqa: E402
from nova.rpc.heartbeat import Heartbeat  # noqa: E402
from nova.rpc.scheduler import TOPIC, SchedulerCalls  # noqa: E402
from nova.rpc.server import Server  # noqa: E402
from nova.scheduler.service import Scheduler  # noqa: E402

# A conductor that has not answered by then was not there when it was asked: asking anew is quicker.
_PATIENCE_S = 10.0


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    conductor = conductor_client(bus, timeout_s=_PATIENCE_S)
    scheduler = Scheduler(conf, conductor, PlacementClient(adapters.service_adapter(conf, "placement")))
    server = Server(bus, TOPIC, conf.host, SchedulerCalls, scheduler)
    return [scheduler, server, Heartbeat(conductor, "nova-scheduler", conf.host, conf.report_interval)]


def main() -> int:
    return daemon.run("nova-scheduler", build, workers=lambda conf: conf.scheduler.workers or 1)
