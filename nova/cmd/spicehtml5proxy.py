"""nova-spicehtml5proxy: carries guests' screens to browsers that run spice-html5."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.console import proxy
from nova.rpc.bus import connect
from nova.rpc.consoleauth import consoleauth_client


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [proxy.spice_html5(conf, consoleauth_client(connect(conf)))]


def main() -> int:
    return daemon.run("nova-spicehtml5proxy", build)
