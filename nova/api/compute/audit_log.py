"""The log of usage audits: /os-instance_usage_audit_log.

Usage is read from the event log, which needs no audit run on hosts, so no host has ever run
one. Source: Compute API reference, "Server usage audit log".
"""

import datetime
from typing import Any

from nova import errors
from nova.api.compute.request import Request
from nova.clock import parse_utc, utcnow
from nova.http.declaration import get
from nova.http.schema import STRING, TIME, Obj, Plain, arr, enum, obj, optional, required
from nova.http.view import made

_RULES = "os_compute_api:os-instance-usage-audit-log:"
_COUNT = Plain({"type": "integer", "minimum": 0})
_HOST = obj(
    optional("instances", _COUNT),
    optional("errors", _COUNT),
    optional("message", STRING),
    optional("state", enum("RUNNING", "DONE")),
)
_LOG = obj(
    required("hosts_not_run", arr(STRING)),
    required("log", Obj(others=_HOST)),
    *(
        required(name, _COUNT)
        for name in (
            "num_hosts", "num_hosts_done", "num_hosts_not_run", "num_hosts_running", "total_errors", "total_instances",
        )
    ),
    required("overall_status", STRING),
    required("period_beginning", TIME),
    required("period_ending", TIME),
)  # fmt: skip


@get(
    "/os-instance_usage_audit_log",
    policy=f"{_RULES}list",
    answer=made(obj(required("instance_usage_audit_logs", _LOG))),
)
def index(request: Request) -> dict[str, Any]:
    """The audit log of the last full month. Audits are never run here: every host is listed as not run."""
    return {"instance_usage_audit_logs": _log(request, utcnow())}


@get(
    "/os-instance_usage_audit_log/{before}",
    policy=f"{_RULES}show",
    answer=made(obj(required("instance_usage_audit_log", _LOG))),
    errors=(400,),
)
def show(request: Request, before: str) -> dict[str, Any]:
    """The audit log of the last full month before a given time."""
    try:
        moment = parse_utc(before)
        log = _log(request, moment)
    # The first month of all has none before it.
    except (ValueError, OverflowError) as error:
        raise errors.Invalid(f"Invalid timestamp for date {before}") from error
    return {"instance_usage_audit_log": log}


def _log(request: Request, before: datetime.datetime) -> dict[str, Any]:
    """The last full month before a moment."""
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    begin = (end - datetime.timedelta(days=1)).replace(day=1)
    hosts = sorted({service.host for service in request.conductor.services(request.context, binary="nova-compute")})
    return {
        "hosts_not_run": hosts,
        "log": {},
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_not_run": len(hosts),
        "num_hosts_running": 0,
        "overall_status": f"0 of {len(hosts)} hosts done. 0 errors.",
        "period_beginning": str(begin),
        "period_ending": str(end),
        "total_errors": 0,
        "total_instances": 0,
    }
