"""nova-cert: certificates of users and projects, and the keys of image bundles."""

from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.cert.service import CertService
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.conductor import TOPIC, conductor_client
from nova.rpc.heartbeat import Heartbeat


def build(conf: cfg.ConfigOpts) -> Sequence[daemon.Component]:
    bus = connect(conf)
    heartbeat = Heartbeat(conductor_client(bus), "nova-cert", conf.host, conf.report_interval)
    service = CertService(conf, bus)
    return [Needs(reach.check(bus, TOPIC), service.check()), service, heartbeat]


def main() -> int:
    return daemon.run("nova-cert", build)
