"""Events that other services report about servers: /os-server-external-events.

Source: Compute API reference, "Create external events".
"""

from typing import Any

from nova.api.compute.app import Reply
from nova.api.compute.request import Request
from nova.http.declaration import post
from nova.http.schema import UUID, Plain, arr, enum, obj, optional, required, string, versioned
from nova.http.view import made
from nova.structs.requests import ExternalEvent

_FIRST = ("network-changed", "network-vif-plugged", "network-vif-unplugged", "network-vif-deleted")
_NAME = versioned(
    enum(*_FIRST),
    v2_51=enum(*_FIRST, "volume-extended"),
    v2_76=enum(*_FIRST, "volume-extended", "power-update"),
    v2_82=enum(*_FIRST, "volume-extended", "power-update", "accelerator-request-bound"),
    v2_93=enum(*_FIRST, "volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"),
)
_STATUS = enum("failed", "completed", "in-progress")
_TAG = string(maxLength=255)
_CODE = Plain({"type": "integer", "enum": [200, 400, 404, 422]})


@post(
    "/os-server-external-events",
    policy="os_compute_api:os-server-external-events:create",
    body=obj(
        required(
            "events",
            arr(
                obj(
                    required("name", _NAME),
                    required("server_uuid", UUID),
                    optional("status", _STATUS, default="completed"),
                    optional("tag", _TAG),
                ),
                minItems=1,
            ),
        )
    ),
    answer=made(
        obj(
            required(
                "events",
                arr(
                    obj(
                        required("name", _NAME),
                        required("server_uuid", UUID),
                        required("status", _STATUS),
                        optional("tag", _TAG),
                        required("code", _CODE),
                    )
                ),
            )
        )
    ),
    other_codes=(207,),
    errors=(400, 403),
)
def create(request: Request) -> Reply:
    """Tell of what happened to ports and volumes of servers.

    200 when all events were accepted, 207 when some were not; each event has its own code.
    """
    events: list[dict[str, Any]] = request.body["events"]
    codes = request.conductor.external_events(
        request.context,
        [
            ExternalEvent(
                name=event["name"], server_id=event["server_uuid"], status=event["status"], tag=event.get("tag")
            )
            for event in events
        ],
    )
    answers = [
        {**event, "code": code, **({} if code == 200 else {"status": "failed"})}
        for event, code in zip(events, codes, strict=True)
    ]
    return Reply({"events": answers}, status=200 if set(codes) == {200} else 207)
