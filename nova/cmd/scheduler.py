"""nova-scheduler: chooses hosts for servers and claims them in Placement."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.clients import adapters, reachable
from nova.clients.placement import PlacementClient
from nova.conf import required
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.conductor import CALLBACK_TOPIC, conductor_client
from nova.rpc.conductor import TOPIC as CONDUCTOR
from nova.rpc.heartbeat import Heartbeat
from nova.rpc.scheduler import NEWS_TOPIC, TOPIC, SchedulerCalls, SchedulerNews, news_client
from nova.rpc.server import Server
from nova.scheduler.service import Scheduler

# A conductor that has not answered by then was not there when it was asked: asking anew is quicker.
_PATIENCE_S = 10.0

NEEDS = (required.credentials("placement"),)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    conductor = conductor_client(bus, timeout_s=_PATIENCE_S, topic=CALLBACK_TOPIC)
    placement = PlacementClient(adapters.service_adapter(conf, "placement"))
    scheduler = Scheduler(conf, conductor, placement, news_client(bus))
    calls = Server(bus, TOPIC, conf.host, SchedulerCalls, scheduler)
    news = Server(bus, NEWS_TOPIC, conf.host, SchedulerNews, scheduler)
    needs = Needs(reach.check(bus, CONDUCTOR), *reachable.checks(conf, "placement"), calls.check(), news.check())
    return [needs, scheduler, calls, news, Heartbeat(conductor, "nova-scheduler", conf.host, conf.report_interval)]


def main() -> int:
    return daemon.run("nova-scheduler", build, needs=NEEDS, workers=lambda conf: conf.scheduler.workers or 1)
