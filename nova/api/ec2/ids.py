"""EC2's ids and what they stand for: PREFIX-NUMBER, the number given by the conductor on first use and kept for ever.

Whose a thing is, is not asked here: what an id stands for is looked up afterwards within what the caller may see.
"""

import copy
import re
from collections.abc import Iterable

from nova.api.ec2 import errors
from nova.rpc.conductor import ConductorCalls

# Prefix to the noun in EC2's error codes.
NOUNS = {
    "i": "InvalidInstanceID",
    "ami": "InvalidAMIID",
    "aki": "InvalidAMIID",
    "ari": "InvalidAMIID",
    "vol": "InvalidVolume",
    "snap": "InvalidSnapshot",
    "eni": "InvalidNetworkInterfaceID",
    "subnet": "InvalidSubnetID",
    "vpc": "InvalidVpcID",
    "igw": "InvalidInternetGatewayID",
    "rtb": "InvalidRouteTableID",
    "sg": "InvalidGroup",
    "eipalloc": "InvalidAllocationID",
    "eipassoc": "InvalidAssociationID",
    "key": "InvalidKeyPair",
}
_ID = re.compile(r"([a-z]+)-([0-9a-f]{8,15})")
_REMEMBERED = 100000


class Ids:
    """Both ways between EC2's ids and those of other APIs. What it has heard once it does not ask again."""

    def __init__(self, conductor: ConductorCalls) -> None:
        self._conductor = conductor
        self._known: dict[tuple[str, str], str] = {}
        self._asked: dict[str, tuple[str, str]] = {}

    def for_call(self) -> "Ids":
        """The same, for one call: with what the call itself has asked for."""
        own = copy.copy(self)
        own._asked = {}
        return own

    def missing_in(self, message: str) -> errors.BadRequest | None:
        """The error for the id that the call has asked for, when a message says that what it stands for is not there.

        So nobody learns whether an id is another project's, or what it stands for.
        """
        for target, (kind, ec2_id) in self._asked.items():
            if target in message:
                return not_found(kind, ec2_id)
        return None

    def many(self, kind: str, targets: Iterable[str | None]) -> dict[str | None, str | None]:
        """EC2's ids by what they stand for; None stands for None."""
        wanted = [target for target in dict.fromkeys(targets) if target]
        missing = [target for target in wanted if (kind, target) not in self._known]
        if len(self._known) + len(missing) > _REMEMBERED:
            self._known.clear()
            missing = wanted
        if missing:
            for target, number in zip(missing, self._conductor.ec2_numbers(kind, missing), strict=True):
                if number is not None:
                    self._known[kind, target] = written(kind, number)
        return {None: None, **{target: self._known.get((kind, target)) for target in wanted}}

    def one(self, kind: str, target: str) -> str:
        """PREFIX-00000000 for a server that there is not."""
        return self.many(kind, [target])[target] or f"{kind}-00000000"

    def targets(self, kind: str, ec2_ids: Iterable[str]) -> dict[str, str]:
        """What ids stand for. Raises BadRequest (Malformed, NotFound) for the first that stands for nothing."""
        wanted = list(dict.fromkeys(ec2_ids))
        numbers = [_number(kind, ec2_id) for ec2_id in wanted]
        if not wanted:
            return {}
        found = dict(zip(wanted, self._conductor.ec2_targets(kind, numbers), strict=True))
        for ec2_id, target in found.items():
            if target is None:
                raise not_found(kind, ec2_id)
            self._asked[target] = (kind, ec2_id)
        return {ec2_id: target for ec2_id, target in found.items() if target is not None}

    def target(self, kind: str, ec2_id: str) -> str:
        """Raises BadRequest (Malformed, NotFound)."""
        return self.targets(kind, [ec2_id])[ec2_id]


def written(kind: str, number: int) -> str:
    return f"{kind}-{number:08x}"


def kind_of(ec2_id: str) -> str:
    """The prefix of an id. Raises BadRequest for what is none."""
    match = _ID.fullmatch(ec2_id)
    if match is None or match[1] not in NOUNS:
        raise errors.BadRequest(f"The ID '{ec2_id[:100]}' is not valid", "InvalidID")
    return match[1]


def check(kind: str, ec2_id: str) -> None:
    """Raises BadRequest (Malformed) for what is no id of this kind."""
    _number(kind, ec2_id)


def not_found(kind: str, ec2_id: str) -> errors.BadRequest:
    return errors.BadRequest(f"The ID '{ec2_id[:100]}' does not exist", f"{NOUNS[kind]}.NotFound")


def _number(kind: str, ec2_id: str) -> int:
    match = _ID.fullmatch(ec2_id)
    if match is None or match[1] != kind:
        raise errors.BadRequest(f"Invalid id: '{ec2_id[:100]}'", f"{NOUNS[kind]}.Malformed")
    return int(match[2], 16)
