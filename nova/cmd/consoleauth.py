"""nova-consoleauth: issues console tokens and says what they open."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.conductor import client as conductor_client  # noqa: E402
from nova.console.auth import ConsoleAuthService  # noqa: E402
from nova.heartbeat import Heartbeat  # noqa: E402
from nova.messaging import rpc  # noqa: E402

# nova-consoleauth's own callers wait a quarter.
_PART = 0.15


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Service]:
    bus = rpc.transport(conf)
    conductor = conductor_client.over_bus(bus, timeout_s=rpc.part_of_patience(bus, _PART))
    heartbeat = Heartbeat(conductor, "nova-consoleauth", conf.host, conf.report_interval)
    return [ConsoleAuthService(conf, bus, conductor), heartbeat]


def main() -> int:
    return daemon.run("nova-consoleauth", build)
