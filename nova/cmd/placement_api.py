"""nova-placement-api: the Placement service on a port of its own."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.http.service import HttpService  # noqa: E402
from nova.placement import application  # noqa: E402

# Requests one worker has in hand at once; each may hold a database connection.
_THREADS = 100


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    options = conf.placement
    address = (options.listen, options.listen_port)
    return [HttpService(conf, "placement", application(conf), *address, _THREADS)]


def main() -> int:
    return daemon.run("nova-placement-api", build, workers=lambda conf: conf.placement.workers or daemon.cores())
