"""nova-api: the Compute API and, unless [DEFAULT] enabled_apis says otherwise, the metadata API."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import concurrency, daemon
from nova.api.compute import application
from nova.cmd import api_metadata
from nova.http.service import HttpService
from nova.rpc.bus import connect
from nova.rpc.conductor import conductor_client


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    services: list[daemon.Component] = []
    if "osapi_compute" in conf.enabled_apis:
        conductor = conductor_client(connect(conf))
        app = application(conf, conductor)
        address = (conf.osapi_compute_listen, conf.osapi_compute_listen_port)
        threads = conf.default_green_pool_size if concurrency.is_green() else conf.default_thread_pool_size
        services.append(HttpService(conf, "osapi_compute", app, *address, threads))
    if "metadata" in conf.enabled_apis:
        services.extend(api_metadata.build(conf))
    return services


def main() -> int:
    return daemon.run("nova-api", build, workers=lambda conf: conf.osapi_compute_workers or daemon.cores())
