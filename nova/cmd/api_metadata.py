"""nova-api-metadata: tells guests about themselves."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.api.metadata import application
from nova.clients import reachable
from nova.http.service import HttpService
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.conductor import TOPIC, conductor_client

# Guests that one worker answers at once; a booting guest asks a dozen times in a second.
_THREADS = 100


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    app = application(conf, conductor_client(bus))
    needs = Needs(reach.check(bus, TOPIC), *reachable.checks(conf, "neutron"))
    return [needs, HttpService(conf, "metadata", app, conf.metadata_listen, conf.metadata_listen_port, _THREADS)]


def main() -> int:
    return daemon.run("nova-api-metadata", build, workers=lambda conf: conf.metadata_workers or daemon.cores())
