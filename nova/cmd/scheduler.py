"""nova-scheduler: chooses hosts for servers and claims them in Placement."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.clients import adapters
from nova.clients.placement import PlacementClient
from nova.rpc.bus import connect
from nova.rpc.conductor import CALLBACK_TOPIC, conductor_client
from nova.rpc.heartbeat import Heartbeat
from nova.rpc.scheduler import TOPIC, SchedulerCalls, scheduler_client
from nova.rpc.server import Server
from nova.scheduler.service import Scheduler

# A conductor that has not answered by then was not there when it was asked: asking anew is quicker.
_PATIENCE_S = 10.0


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    conductor = conductor_client(bus, timeout_s=_PATIENCE_S, topic=CALLBACK_TOPIC)
    placement = PlacementClient(adapters.service_adapter(conf, "placement"))
    scheduler = Scheduler(conf, conductor, placement, scheduler_client(bus))
    server = Server(bus, TOPIC, conf.host, SchedulerCalls, scheduler)
    return [scheduler, server, Heartbeat(conductor, "nova-scheduler", conf.host, conf.report_interval)]


def main() -> int:
    return daemon.run("nova-scheduler", build, workers=lambda conf: conf.scheduler.workers or 1)
