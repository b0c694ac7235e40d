"""Add an address of a network to a server that is on it, and remove one. Guests learn of it by DHCP."""

import msgspec
from sqlalchemy.engine import Connection

from nova.conductor.engine.operation import Operation, Step, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.structs.instance import Instance, VmState
from nova.structs.network import Vif


class ChangeAddress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """network_id to add an address of it, address to remove that one. vifs: as they are afterwards."""

    instance_id: str
    network_id: str | None = None
    address: str | None = None
    vifs: tuple[Vif, ...] | None = None


def add_address(op: ChangeAddress, context: StepContext) -> ChangeAddress:
    """Done twice it adds one address. Raises Invalid for a server without a port on the network."""
    instance = context.instance(op.instance_id)
    # What the record knows of tells whether an earlier attempt has added it already.
    known = frozenset(ip.address for vif in instance.vifs for ip in vif.fixed_ips)
    context.network.add_fixed_ip(op.instance_id, op.network_id, known)
    return _seen(op, context, instance)


def remove_address(op: ChangeAddress, context: StepContext) -> ChangeAddress:
    context.network.remove_fixed_ip(op.instance_id, op.address)
    return _seen(op, context, context.instance(op.instance_id))


def see_addresses(op: ChangeAddress, context: StepContext) -> ChangeAddress:
    """Whatever became of it, the record tells what is."""
    return _seen(op, context, context.instance(op.instance_id))


def _seen(op: ChangeAddress, context: StepContext, instance: Instance) -> ChangeAddress:
    return msgspec.structs.replace(op, vifs=context.network.view(op.instance_id, instance.vifs))


def _end(connection: Connection, op: ChangeAddress, instance: Instance) -> dict[str, object]:
    return {} if op.vifs is None else {"vifs": op.vifs}


_FROM = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED})

ADD_FIXED_IP = Operation(
    "addFixedIp",
    ChangeAddress,
    steps=(Step(add_address, see_addresses),),
    from_states=_FROM,
    succeeds_as=unchanged,
    finish=_end,
    fail=_end,
)

REMOVE_FIXED_IP = Operation(
    "removeFixedIp",
    ChangeAddress,
    steps=(Step(remove_address, see_addresses),),
    from_states=_FROM,
    succeeds_as=unchanged,
    finish=_end,
    fail=_end,
)
