"""nova-objectstore: buckets and objects over the S3 protocol."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import concurrency, daemon
from nova.clients import reachable
from nova.conf import required
from nova.http.service import StreamingService
from nova.objectstore.application import application, make_store
from nova.objectstore.store import Store
from nova.readiness import Needs

_SWEEP_INTERVAL_S = 3600


class Sweeper:
    """Removes what crashes left behind; one worker of several does it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sweep: concurrency.Periodic | None = None

    def start(self) -> None:
        if not concurrency.worker_number:
            self._sweep = concurrency.Periodic(_SWEEP_INTERVAL_S, self._store.sweep, "sweep of buckets", at_once=True)

    def stop(self) -> None:
        if self._sweep:
            self._sweep.stop()
        self._store.close()


NEEDS = (required.credentials("keystone"),)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    store = make_store(conf)
    service = StreamingService(conf, "s3", application(conf, store), conf.s3_listen, conf.s3_listen_port)
    return [Needs(*reachable.checks(conf, "keystone")), Sweeper(store), service]


def main() -> int:
    return daemon.run("nova-objectstore", build, needs=NEEDS, workers=lambda conf: conf.s3_workers or daemon.cores())
