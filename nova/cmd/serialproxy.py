"""nova-serialproxy: carries guests' serial ports to websockets of users' own."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.console import proxy  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402
from nova.rpc.consoleauth import consoleauth_client  # noqa: E402


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [proxy.serial(conf, consoleauth_client(connect(conf)))]


def main() -> int:
    return daemon.run("nova-serialproxy", build)
