"""nova-api: the APIs of [DEFAULT] enabled_apis: the Compute API, the metadata API and the EC2 API."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import concurrency, daemon
from nova.api import compute, ec2
from nova.clients import reachable
from nova.cmd import api_metadata
from nova.conf import required
from nova.http.service import HttpService
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.conductor import TOPIC, conductor_client

NEEDS = (required.tokens,)


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    neighbours = [*reachable.token_checks(conf), *reachable.checks(conf, "glance", "neutron")]
    services: list[daemon.Component] = [Needs(reach.check(bus, TOPIC), *neighbours)]
    threads = conf.default_green_pool_size if concurrency.is_green() else conf.default_thread_pool_size
    if "osapi_compute" in conf.enabled_apis:
        app = compute.application(conf, conductor_client(bus))
        address = (conf.osapi_compute_listen, conf.osapi_compute_listen_port)
        services.append(HttpService(conf, "osapi_compute", app, *address, threads))
    if "ec2" in conf.enabled_apis:
        app = ec2.application(conf, conductor_client(bus))
        services.append(HttpService(conf, "ec2", app, conf.ec2_listen, conf.ec2_listen_port, threads))
    if "metadata" in conf.enabled_apis:
        services.extend(api_metadata.build(conf))
    return services


def main() -> int:
    return daemon.run("nova-api", build, needs=NEEDS, workers=lambda conf: conf.osapi_compute_workers or daemon.cores())
