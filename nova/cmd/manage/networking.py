"""What the commands on networks share: nova-network's records, read and written through the conductor.

A record is made by the Networking API's own code, so that it is what a request of an administrator's would make, but for quotas.
"""

import argparse
import ipaddress
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova import errors
from nova.http.policy import Policy
from nova.network.api import NullDataplane, fields
from nova.network.api.resource import Call, Resource
from nova.policies import network as rules
from nova.rpc.bus import connect
from nova.rpc.conductor import ConductorCalls, conductor_client
from nova.structs.context import Context
from nova.structs.networking import AnyRecord, Network, Subnet

_OPERATOR = Context(user_id="nova-manage", roles=("admin",), is_admin=True)


class Networking:
    """The networks of a cloud without Neutron."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conductor = _conductor(conf)
        self._call = Call(_OPERATOR, conf, self.conductor, NullDataplane(), Policy(conf, rules.list_rules()))

    def find(self, noun: str, **where: Any) -> list[Any]:
        return self.conductor.networking(noun, where)

    def add(self, resource: Resource, project_id: str, **given: Any) -> AnyRecord:
        """Make a record as a request with these attributes would. Raises Invalid, Conflict."""
        values = fields.parse(resource.fields, given, False, self._call.permits)
        records = resource.build(self._call, {**values, "project_id": project_id})
        added = self.conductor.add_networking(records, {}, resource.carriers(self._call))
        return next(record for record in added if record.noun == resource.noun)

    def subnets(self) -> dict[str, list[Subnet]]:
        """By the id of their network."""
        found: dict[str, list[Subnet]] = {}
        for subnet in self.find("subnet"):
            found.setdefault(subnet.network_id, []).append(subnet)
        return found

    def network(self, uuid: str | None, cidr: str | None) -> Network:
        """The one with an id, or with a subnet of exactly this range. Raises Invalid, NetworkingNotFound."""
        if (uuid is None) == (cidr is None):
            raise errors.Invalid("A network is named by --uuid or by --fixed_range.")
        if uuid is not None:
            return self._only(self.find("network", id=[uuid]), uuid)
        wanted = str(network_of(cidr or ""))
        ids = [subnet.network_id for subnet in self.find("subnet") if subnet.cidr == wanted]
        return self._only(self.find("network", id=ids) if ids else [], wanted)

    def _only(self, networks: list[Network], name: str) -> Network:
        if not networks:
            raise errors.NetworkingNotFound(noun="network", id=name)
        if len(networks) > 1:
            raise errors.Invalid(f"Several networks have the range {name}: name one by its --uuid.")
        return networks[0]


def network_of(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Raises Invalid."""
    try:
        return ipaddress.ip_network(cidr)
    except ValueError as error:
        raise errors.Invalid(f"{cidr[:100]} is no range of addresses: {error}.") from None


def add_refused(parser: argparse.ArgumentParser, refused: Mapping[str, str]) -> None:
    """Options of the time of nova-network that have no meaning here. They are known so that it can be said why."""
    for name in refused:
        parser.add_argument(f"--{name}", nargs="?", const="", help=argparse.SUPPRESS)


def refuse(arguments: argparse.Namespace, refused: Mapping[str, str]) -> None:
    """Raises Invalid for one of them that was given."""
    for name, why in refused.items():
        if getattr(arguments, name.replace("-", "_")) is not None:
            raise errors.Invalid(f"--{name} cannot be honoured: {why}.")


def is_true(word: str) -> bool:
    """T or F, as the commands of that time take it. Raises ValueError."""
    if word not in ("T", "F"):
        raise ValueError(word)
    return word == "T"


def _conductor(conf: cfg.ConfigOpts) -> ConductorCalls:
    return conductor_client(connect(conf))
