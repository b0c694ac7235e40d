"""A host that lives and can do nothing for guests is disabled until it can, with the reason for operators to read.

As upstream has it, a reason that no operator gave begins with AUTO.
"""

import logging

from sqlalchemy.engine import Connection

from nova.conductor import announce
from nova.conductor.core import Core
from nova.db import hosts
from nova.structs.host import SignOfLife

LOG = logging.getLogger(__name__)

_MARK = "AUTO: "
_LONGEST = 255


def settle(core: Core, sign: SignOfLife) -> None:
    """Write down the troubles that this conductor has not heard of, and those that are over."""
    heard = core.liveness.troubles
    now = {host: sign.troubles.get(host, "") for host in sign.hosts}
    # How long something has lasted is no news.
    news = {host: trouble for host, trouble in now.items() if host not in heard or bool(trouble) != bool(heard[host])}
    if not news:
        return
    if core.db.write(lambda c: _write(c, news)):
        announce.hosts_changed(core.step_context)
    # Once it is written down: what could not be written is news with the next sign.
    core.liveness.troubles |= news


def _write(connection: Connection, troubles: dict[str, str]) -> bool:
    """Every conductor hears the same sign: what another has written is left as it is."""
    is_changed = False
    for service in hosts.services(connection, binary="nova-compute"):
        trouble = troubles.get(service.host)
        if trouble is None:
            continue
        is_ours = (service.disabled_reason or "").startswith(_MARK)
        if trouble and not service.is_disabled:
            LOG.warning("host %s is disabled by itself: %s", service.host, trouble)
            reason = (_MARK + trouble)[:_LONGEST]
            hosts.change_service(connection, service.uuid, is_disabled=True, disabled_reason=reason)
            is_changed = True
        elif not trouble and service.is_disabled and is_ours:
            LOG.warning("host %s works again and is enabled", service.host)
            hosts.change_service(connection, service.uuid, is_disabled=False, disabled_reason=None)
            is_changed = True
    return is_changed
