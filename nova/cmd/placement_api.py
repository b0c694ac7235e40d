"""nova-placement-api: the Placement service on a port of its own."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.clients import reachable
from nova.conf import required
from nova.http.service import HttpService
from nova.placement import application, database_check, figures
from nova.readiness import Needs

# Requests one worker has in hand at once; each may hold a database connection.
_THREADS = 100

NEEDS = (required.placement_database, required.tokens)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    options = conf.placement
    address = (options.listen, options.listen_port)
    needs = Needs(database_check(conf), *reachable.token_checks(conf))
    return [needs, figures(conf), HttpService(conf, "placement", application(conf), *address, _THREADS)]


def main() -> int:
    return daemon.run(
        "nova-placement-api", build, needs=NEEDS, workers=lambda conf: conf.placement.workers or daemon.cores()
    )
