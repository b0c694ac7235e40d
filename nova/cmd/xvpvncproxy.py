"""nova-xvpvncproxy: carries guests' VNC screens to native clients."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.console.xvp import xvp_vnc
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.consoleauth import TOPIC, consoleauth_client


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    return [Needs(reach.check(bus, TOPIC)), xvp_vnc(conf, consoleauth_client(bus))]


def main() -> int:
    return daemon.run("nova-xvpvncproxy", build)
