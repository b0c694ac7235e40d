"""Which versions there are: / and /v2.1/. Source: Compute API reference, "API Versions"."""

from typing import Any

from nova.api.compute import versions

_UPDATED = {"v2.0": "2025-07-04T12:00:00Z", "v2.1": "2013-07-23T11:33:21Z"}
_DESCRIBED = {"href": "http://docs.openstack.org/", "rel": "describedby", "type": "text/html"}


def document(base_url: str, version: str) -> dict[str, Any]:
    """One version, as its own root answers it."""
    entry = _entry(base_url, version)
    number = "2" if version == "v2.0" else "2.1"
    media = {"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={number}"}
    entry["links"] = [*entry["links"], _DESCRIBED]
    entry["media-types"] = [media]
    return {"version": entry}


def listing(base_url: str) -> dict[str, Any]:
    """All versions, as the unversioned root answers."""
    return {"versions": [_entry(base_url, "v2.0"), _entry(base_url, "v2.1")]}


def _entry(base_url: str, version: str) -> dict[str, Any]:
    is_current = version == "v2.1"
    path = "v2.1" if is_current else "v2"
    return {
        "id": version,
        "status": "CURRENT" if is_current else "DEPRECATED",
        "version": versions.text(versions.MAXIMUM) if is_current else "",
        "min_version": versions.text(versions.MINIMUM) if is_current else "",
        "updated": _UPDATED[version],
        "links": [{"rel": "self", "href": f"{base_url}/{path}/"}],
    }
