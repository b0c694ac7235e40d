"""nova-api: the Compute API and, unless [DEFAULT] enabled_apis says otherwise, the metadata API."""

from nova.cmd import start_concurrency

start_concurrency()

from collections.abc import Sequence  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova import daemon  # noqa: E402
from nova.api.compute import application  # noqa: E402
from nova.cmd import api_metadata  # noqa: E402
from nova.http.service import HttpService  # noqa: E402
from nova.rpc.bus import connect  # noqa: E402
from nova.rpc.conductor import conductor_client  # noqa: E402


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    services: list[daemon.Component] = []
    if "osapi_compute" in conf.enabled_apis:
        conductor = conductor_client(connect(conf))
        app = application(conf, conductor)
        address = (conf.osapi_compute_listen, conf.osapi_compute_listen_port)
        services.append(HttpService(conf, "osapi_compute", app, *address, conf.default_green_pool_size))
    if "metadata" in conf.enabled_apis:
        services.extend(api_metadata.build(conf))
    return services


def main() -> int:
    return daemon.run("nova-api", build, workers=lambda conf: conf.osapi_compute_workers or daemon.cores())
