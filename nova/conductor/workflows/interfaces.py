"""Attach a network interface to a server, and detach one.

A port the user brought is only unbound when it goes; one that was made for the server is deleted.
"""

import dataclasses

import msgspec
from sqlalchemy.engine import Connection

from nova import errors
from nova.conductor.engine.operation import Acceptance, OnHost, Operation, Step, nothing_to_undo, on_its_host, unchanged
from nova.conductor.engine.step_context import StepContext
from nova.conductor.workflows import guest
from nova.db import operations
from nova.structs.instance import Instance, VmState
from nova.structs.network import NetworkRequest, Vif
from nova.structs.steps import VifArguments


class Attach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """request None: the project's one network. port_id: of the port to be made, chosen before."""

    instance_id: str
    request: NetworkRequest | None = None
    port_id: str
    vif: Vif | None = None


class Detach(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    instance_id: str
    port_id: str
    vif: Vif | None = None


def make_port(op: Attach, context: StepContext) -> Attach:
    """Raises PortInUse for a port that the server has already."""
    instance = context.instance(op.instance_id)
    vif = context.network.attach(
        project_id=instance.project_id,
        instance_uuid=instance.uuid,
        host=instance.host,
        zone=instance.availability_zone,
        hostname=instance.hostname,
        request=op.request,
        port_id=op.port_id,
    )
    if any(other.port_id == vif.port_id for other in instance.vifs):
        raise errors.PortInUse(port_id=vif.port_id)
    return msgspec.structs.replace(op, vif=vif)


def remove_port(op: Attach, context: StepContext) -> Attach:
    """Ports that the server's record names are none of this operation's: they stay."""
    brought = op.request.port_id if op.request is not None else None
    known = {vif.port_id for vif in context.instance(op.instance_id).vifs}
    for port_id in {op.vif.port_id if op.vif else None, brought, op.port_id} - known - {None}:
        context.network.detach(op.instance_id, port_id, keep=port_id == brought)
    return msgspec.structs.replace(op, vif=None)


def plug(op: Attach, context: StepContext) -> OnHost:
    return _on_host(op, context, "attach_vif")


def unplug(op: Attach, context: StepContext) -> OnHost | Attach:
    """Nothing happens where no port was made. A guest on a silent host may have its address: it is not given away."""
    return op if op.vif is None else _on_host(op, context, "detach_vif", is_undo=True)


def _on_host(op: Attach | Detach, context: StepContext, verb: str, is_undo: bool = False) -> OnHost:
    instance = context.instance(op.instance_id)
    assert op.vif is not None
    arguments = VifArguments(instance=instance, vif=op.vif)
    return OnHost(guest.host_of(instance), verb, arguments, skip_if_down=is_undo, waits_if_silent=is_undo)


def _attached(connection: Connection, op: Attach, instance: Instance) -> dict[str, object]:
    return {"vifs": (*instance.vifs, op.vif)}


def _half_attached(connection: Connection, op: Attach, instance: Instance) -> dict[str, object]:
    """A port that its user brought is known by the record: it stays when the server goes."""
    return {} if op.vif is None else _attached(connection, op, instance)


def unplug_vif(op: Detach, context: StepContext) -> OnHost:
    return _on_host(op, context, "detach_vif")


def plug_again(op: Detach, context: StepContext) -> OnHost:
    return _on_host(op, context, "attach_vif")


def give_port_back(op: Detach, context: StepContext) -> Detach:
    """A port the user brought is unbound, another one deleted."""
    context.network.detach(op.instance_id, op.port_id, keep=op.vif is not None and op.vif.is_preexisting)
    return op


def _begin_detach(acceptance: Acceptance, op: Detach) -> Detach:
    """Raises PortNotFound for a port that is not the server's, or on its way out."""
    on_its_host(acceptance, op)
    for text in operations.open_documents(acceptance.connection, op.instance_id, DETACH_INTERFACE.name):
        if msgspec.json.decode(text, type=Detach).port_id == op.port_id:
            raise errors.PortNotFound(port_id=op.port_id)
    vif = next((vif for vif in acceptance.instance.vifs if vif.port_id == op.port_id), None)
    if vif is None:
        raise errors.PortNotFound(port_id=op.port_id)
    return msgspec.structs.replace(op, vif=vif)


def _detached(connection: Connection, op: Detach, instance: Instance) -> dict[str, object]:
    return {"vifs": tuple(vif for vif in instance.vifs if vif.port_id != op.port_id)}


_FROM = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED})

ATTACH_INTERFACE = Operation(
    "attach_interface",
    Attach,
    steps=(Step(make_port, remove_port), Step(plug, unplug)),
    from_states=_FROM,
    begin=on_its_host,
    succeeds_as=unchanged,
    finish=_attached,
    makes_way=_half_attached,
    keeps=nothing_to_undo,
    takes_turns=True,
)

DETACH_INTERFACE = Operation(
    "detach_interface",
    Detach,
    steps=(Step(unplug_vif, plug_again), Step(give_port_back, retries=20)),
    from_states=_FROM,
    begin=_begin_detach,
    succeeds_as=unchanged,
    # A port that is given back is not the server's to take again; detaching it may be asked for again.
    no_return_after=unplug_vif,
    abandons_as=None,
    finish=_detached,
    takes_turns=True,
)

# The same, begun because the port is there no more: it is given back by deleting it, which cannot be refused, only wait.
PORT_IS_GONE = dataclasses.replace(
    DETACH_INTERFACE,
    from_states=frozenset(VmState) - {VmState.BUILDING, VmState.DELETED, VmState.SHELVED_OFFLOADED},
    ignores_lock=True,
    waits=True,
)
