"""/reshaper. Source: Placement API reference, "Reshaper"."""

import uuid as uuids
from typing import Any

from nova.placement.api import schemas
from nova.placement.api.allocations import to_claim, to_consumer
from nova.placement.api.inventories import to_inventory
from nova.placement.api.operations import Service, operation
from nova.placement.api.wsgi import Answer, Request
from nova.placement.errors import BadRequest
from nova.placement.reshaper import reshape


@operation("POST", "/reshaper", "placement:reshaper:reshape", since=30, body=schemas.RESHAPE, has_body=False)
def post(service: Service, request: Request, body: dict[str, Any]) -> Answer:
    """Change inventories and allocations of any number of providers in one transaction, all of it or nothing."""
    inventories = {}
    for uuid, wanted in body["inventories"].items():
        if not schemas.is_uuid(uuid):
            raise BadRequest(f"Malformed resource provider uuid: {uuid}")
        resources = {name: to_inventory(value) for name, value in wanted["inventories"].items()}
        inventories[str(uuids.UUID(uuid))] = (wanted["resource_provider_generation"], resources)
    claims = [to_claim(service, request, to_consumer(uuid), value) for uuid, value in body["allocations"].items()]
    if len({claim.consumer for claim in claims}) < len(claims):
        raise BadRequest("JSON does not validate: a consumer is named twice")
    service.store.write(lambda tx: reshape(tx, inventories, claims))
    return Answer(204)
