"""nova-all: every daemon in one process; with transport_url = local:// and SQLite it needs nothing else."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.cmd import (
    api,
    compute,
    conductor,
    consoleauth,
    network,
    novncproxy,
    placement_api,
    scheduler,
    spicehtml5proxy,
)

# What others stand on comes first, and goes last.
_DAEMONS = (conductor, placement_api, network, scheduler, compute, consoleauth, api)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    screens = [proxy for proxy, group in ((novncproxy, "vnc"), (spicehtml5proxy, "spice")) if conf[group].enabled]
    return [service for module in (*_DAEMONS, *screens) for service in module.build(conf)]


def main() -> int:
    return daemon.run("nova-all", build)
