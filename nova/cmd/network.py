"""nova-network: the Networking API and the networks behind it, for a cloud without Neutron."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.clients import reachable
from nova.conf import BadConfiguration, load, required
from nova.http.service import HttpService
from nova.network.api import NullDataplane, application
from nova.network.host import rights
from nova.network.host.commands import CommandFailed
from nova.network.host.dataplane import LinuxDataplane
from nova.readiness import Needs
from nova.rpc import reach
from nova.rpc.bus import connect
from nova.rpc.conductor import CALLBACK_TOPIC, TOPIC, ConductorCalls, conductor_client

LOG = logging.getLogger(__name__)

# Requests in hand at once.
_THREADS = 100

NEEDS = (required.tokens,)


def build(conf: cfg.ConfigOpts, conductor: ConductorCalls | None = None) -> Sequence[daemon.Component]:
    """conductor: one of this process; otherwise it is reached over the bus."""
    needed = reachable.token_checks(conf)
    if conductor is None:
        bus = connect(conf)
        conductor = conductor_client(bus, topic=CALLBACK_TOPIC)
        needed.append(reach.check(bus, TOPIC))
    listen = (conf.network_api_listen, conf.network_api_listen_port)
    if conf.network_dataplane and not rights.are_enough():
        LOG.warning("nova-network is not root, and nobody is for it: networks are records only, and guests get none")
    if not conf.network_dataplane or not rights.are_enough():
        return [
            Needs(*needed),
            HttpService(conf, "network", application(conf, conductor, NullDataplane()), *listen, _THREADS),
        ]
    dataplane = LinuxDataplane(conf, conductor)
    return [
        Needs(*needed),
        dataplane,
        HttpService(conf, "network", application(conf, conductor, dataplane), *listen, _THREADS),
    ]


def main() -> int:
    known, arguments = parser().parse_known_args()
    if known.teardown:
        return _teardown(arguments)
    return daemon.run(
        "nova-network", build, needs=NEEDS, argv=arguments, prepare=lambda conf: _separate(conf, known.user)
    )


def parser() -> argparse.ArgumentParser:
    """What nova-network takes besides every daemon's options."""
    made = argparse.ArgumentParser(prog="nova-network", add_help=False, allow_abbrev=False)
    made.add_argument("--user", default="", help="whom nova-network is to be when it has been started as root")
    made.add_argument(
        "--teardown",
        action="store_true",
        help="take away every bridge, DHCP server and rule nova-network made on this host, and end",
    )
    return made


def _separate(conf: cfg.ConfigOpts, user: str) -> None:
    try:
        rights.separate(conf, user)
    except CommandFailed as error:
        raise BadConfiguration(str(error)) from error


def _teardown(arguments: list[str]) -> int:
    """Take away every bridge, DHCP server and rule this nova-network made on this host."""
    try:
        conf = load(arguments)
    except BadConfiguration as error:
        print(f"nova-network: {error}", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("nova-network: only root can take networks away", file=sys.stderr)
        return 1
    LinuxDataplane(conf, ConductorCalls()).remove()
    return 0
