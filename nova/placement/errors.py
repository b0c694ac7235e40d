"""What can go wrong in Placement. Each error knows its HTTP status and its code in error bodies.

Source of statuses and codes: the Placement API reference, "Errors".
"""


class PlacementError(Exception):
    """Base of what a client is told; str() is the detail of the error body."""

    status = 500
    code = "placement.undefined_code"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(PlacementError):
    status = 400


class BadQuery(BadRequest):
    code = "placement.query.bad_value"


class MissingQuery(BadRequest):
    code = "placement.query.missing_value"


class RepeatedQuery(BadRequest):
    code = "placement.query.duplicate_key"


class UnknownProvider(BadRequest):
    """A provider named in a body does not exist."""

    code = "placement.resource_provider.not_found"


class NotFound(PlacementError):
    status = 404


class Forbidden(PlacementError):
    status = 403


class Conflict(PlacementError):
    status = 409


class ConcurrentUpdate(Conflict):
    code = "placement.concurrent_update"


class InventoryInUse(Conflict):
    code = "placement.inventory.inuse"


class DuplicateName(Conflict):
    code = "placement.duplicate_name"


class ProviderInUse(Conflict):
    code = "placement.resource_provider.inuse"


class ProviderHasChildren(Conflict):
    code = "placement.resource_provider.cannot_delete_parent"


class Unavailable(PlacementError):
    """The database cannot be reached or is too busy. Nothing was written, unless the detail says that this is unknown."""

    status = 503
