"""Files that a user puts into a new server ("personality"), within the project's limits.

Source: Compute API reference, "Create server", "Rebuild server"; quotas injected_files, injected_file_path_bytes,
injected_file_content_bytes.
"""

import base64
from typing import Any

from nova import errors
from nova.api.compute.request import Request


def personality(request: Request, fields: dict[str, Any], project_id: str) -> dict[str, str]:
    """Files by path, in base64. Raises QuotaExceeded for more or larger ones than the project may have."""
    files = [file for file in fields.get("personality", ()) if "path" in file and "contents" in file]
    if files:
        _check(files, request.conductor.quota(project_id).limits)
    return {file["path"]: file["contents"] for file in files}


def _check(files: list[dict[str, str]], limits: dict[str, int]) -> None:
    """Contents count as they will be in the guest, not as they are sent. A limit below 0 is none."""
    sizes = {
        "injected_files": len(files),
        "injected_file_path_bytes": max(len(file["path"].encode()) for file in files),
        "injected_file_content_bytes": max(len(base64.b64decode(file["contents"])) for file in files),
    }
    for resource, size in sizes.items():
        if 0 <= limits[resource] < size:
            raise errors.QuotaExceeded(f"Personality: {resource} may be {limits[resource]} at most, not {size}.")
