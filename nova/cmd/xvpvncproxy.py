"""nova-xvpvncproxy: carries guests' VNC screens to native clients."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.console.xvp import xvp_vnc
from nova.rpc.bus import connect
from nova.rpc.consoleauth import consoleauth_client


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    return [xvp_vnc(conf, consoleauth_client(connect(conf)))]


def main() -> int:
    return daemon.run("nova-xvpvncproxy", build)
