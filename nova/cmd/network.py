"""nova-network: the Networking API and the networks behind it, for a cloud without Neutron."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from oslo_config import cfg

from nova import daemon
from nova.conf import BadConfiguration, load
from nova.http.service import HttpService
from nova.network.api import NullDataplane, application
from nova.network.host import rights
from nova.network.host.commands import CommandFailed
from nova.network.host.dataplane import LinuxDataplane
from nova.rpc.bus import connect
from nova.rpc.conductor import CALLBACK_TOPIC, ConductorCalls, conductor_client

LOG = logging.getLogger(__name__)

# Requests in hand at once.
_THREADS = 100


def build(conf: cfg.ConfigOpts, conductor: ConductorCalls | None = None) -> Sequence[daemon.Component]:
    """conductor: one of this process; otherwise it is reached over the bus."""
    if conductor is None:
        conductor = conductor_client(connect(conf), topic=CALLBACK_TOPIC)
    listen = (conf.network_api_listen, conf.network_api_listen_port)
    if conf.network_dataplane and not rights.are_enough():
        LOG.warning("nova-network is not root, and nobody is for it: networks are records only, and guests get none")
    if not conf.network_dataplane or not rights.are_enough():
        return [HttpService(conf, "network", application(conf, conductor, NullDataplane()), *listen, _THREADS)]
    dataplane = LinuxDataplane(conf, conductor)
    return [dataplane, HttpService(conf, "network", application(conf, conductor, dataplane), *listen, _THREADS)]


def main() -> int:
    if "--teardown" in sys.argv:
        return _teardown([argument for argument in sys.argv[1:] if argument != "--teardown"])
    arguments, user = _split(sys.argv[1:])
    return daemon.run("nova-network", build, argv=arguments, prepare=lambda conf: _separate(conf, user))


def _split(arguments: Sequence[str]) -> tuple[list[str], str]:
    """The command line without --user, which names whom nova-network is to be when it has been started as root."""
    parser = argparse.ArgumentParser(prog="nova-network", add_help=False, allow_abbrev=False)
    parser.add_argument("--user", default="")
    known, others = parser.parse_known_args(arguments)
    return others, known.user


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
