"""nova-all: every daemon in one process; with transport_url = local:// and SQLite it needs nothing else."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.cmd import (
    api,
    cert,
    compute,
    conductor,
    consoleauth,
    network,
    novncproxy,
    objectstore,
    placement_api,
    scheduler,
    spicehtml5proxy,
    xvpvncproxy,
)

# What others stand on comes first, and goes last.
_DAEMONS = (conductor, placement_api, network, scheduler, compute, consoleauth, api)

NEEDS = (*conductor.NEEDS, *placement_api.NEEDS, *network.NEEDS, *scheduler.NEEDS, *compute.NEEDS, *api.NEEDS)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    wanted = {
        novncproxy: conf.vnc.enabled,
        spicehtml5proxy: conf.spice.enabled,
        # Without this address no console is for it.
        xvpvncproxy: conf.vnc.enabled and conf.vnc.xvpvncproxy_base_url,
        # What clients of the EC2 API find beside it.
        cert: "ec2" in conf.enabled_apis,
        objectstore: "ec2" in conf.enabled_apis,
    }
    optional = [module for module, is_wanted in wanted.items() if is_wanted]
    return [service for module in (*_DAEMONS, *optional) for service in module.build(conf)]


def main() -> int:
    return daemon.run("nova-all", build, needs=NEEDS)
