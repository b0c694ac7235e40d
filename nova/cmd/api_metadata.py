"""nova-api-metadata: tells guests about themselves."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.api.metadata import application  # noqa: E402
from nova.http.service import HttpService  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402
from nova.rpc.conductor import conductor_client  # noqa: E402

# Guests that one worker answers at once; a booting guest asks a dozen times in a second.
_THREADS = 100


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    app = application(conf, conductor_client(connect(conf)))
    return [HttpService(conf, "metadata", app, conf.metadata_listen, conf.metadata_listen_port, _THREADS)]


def main() -> int:
    return daemon.run("nova-api-metadata", build, workers=lambda conf: conf.metadata_workers or daemon.cores())
