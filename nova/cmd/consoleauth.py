"""nova-consoleauth: issues console tokens and says what they open."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.console.auth import ConsoleAuthService  # noqa: E402
from nova.rpc.bus import connect, timeout_part  # noqa: E402
from nova.rpc.conductor import conductor_client  # noqa: E402
from nova.rpc.heartbeat import Heartbeat  # noqa: E402

# nova-consoleauth's own callers wait a quarter.
_PART = 0.15


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    conductor = conductor_client(bus, timeout_s=timeout_part(bus, _PART))
    heartbeat = Heartbeat(conductor, "nova-consoleauth", conf.host, conf.report_interval)
    return [ConsoleAuthService(conf, bus, conductor), heartbeat]


def main() -> int:
    return daemon.run("nova-consoleauth", build)
