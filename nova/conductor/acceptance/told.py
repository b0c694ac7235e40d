"""Operations that begin because something was told or found out, and nobody waits for an answer."""

import logging
from typing import Any

from nova import errors
from nova.conductor.acceptance import accept
from nova.conductor.core import Core
from nova.conductor.engine.operation import Operation
from nova.structs.context import Context
from nova.structs.instance import Instance

LOG = logging.getLogger(__name__)


def begin(core: Core, context: Context, instance: Instance, workflow: Operation[Any], **facts: str | None) -> None:
    """Begin an operation where what was told still holds; who told it does not care to hear that it does not."""
    document = workflow.document(instance_id=instance.uuid, **facts)
    try:
        accepted = core.db.write(lambda c: accept.accept_operation(c, core, context, instance.uuid, workflow, document))
    except (errors.Conflict, errors.NotFound, errors.NotImplementedHere) as error:
        LOG.info("server %s: no %s of %s: %s", instance.uuid, workflow.name, facts, error)
        return
    if accepted.lease is not None:
        core.engine.run(accepted.lease)
