"""nova-consoleauth: issues console tokens and says what they open."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.console.auth import ConsoleAuthService
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect, timeout_part
from nova.rpc.conductor import CALLBACK_TOPIC, TOPIC, conductor_client
from nova.rpc.heartbeat import Heartbeat

# nova-consoleauth's own callers wait a quarter.
_PART = 0.15


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    conductor = conductor_client(bus, timeout_s=timeout_part(bus, _PART), topic=CALLBACK_TOPIC)
    heartbeat = Heartbeat(conductor, "nova-consoleauth", conf.host, conf.report_interval)
    return [Needs(reach.check(bus, TOPIC)), ConsoleAuthService(conf, bus, conductor), heartbeat]


def main() -> int:
    return daemon.run("nova-consoleauth", build)
