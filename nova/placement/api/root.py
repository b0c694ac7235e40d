"""The version document at /. Source: Placement API reference, "API Versions"."""

from nova.placement.api.operations import operation
from nova.placement.api.wsgi import LATEST, Answer, Request, now


@operation("GET", "/", None)
def show_versions(service: object, request: Request) -> Answer:
    """For everybody: no token is asked for."""
    version = {
        "id": "v1.0",
        "max_version": LATEST,
        "min_version": "1.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return Answer(200, {"versions": [version]}, now())
