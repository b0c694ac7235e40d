"""nova-spicehtml5proxy: carries guests' screens to browsers that run spice-html5."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.console import proxy
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.consoleauth import TOPIC, consoleauth_client


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    return [Needs(reach.check(bus, TOPIC)), proxy.spice_html5(conf, consoleauth_client(bus))]


def main() -> int:
    return daemon.run("nova-spicehtml5proxy", build)
