"""nova-novncproxy: carries guests' screens to browsers that run noVNC."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.console import interface, proxy  # noqa: E402
from nova.messaging import rpc  # noqa: E402


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Service]:
    return [proxy.novnc(conf, interface.over_bus(rpc.transport(conf)))]


def main() -> int:
    return daemon.run("nova-novncproxy", build)
