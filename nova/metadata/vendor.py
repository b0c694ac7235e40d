"""Vendor data: what the operator provides to all guests. Source: Compute admin guide, "Vendordata"."""

import json
import logging
from pathlib import Path
from typing import Any

from oslo_config import cfg

LOG = logging.getLogger(__name__)


def static(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """The content of [api] vendordata_jsonfile_path. A file that cannot be used is none, and a warning."""
    path = conf.api.vendordata_jsonfile_path
    if not path or "StaticJSON" not in conf.api.vendordata_providers:
        return {}
    try:
        data = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        LOG.warning("[api] vendordata_jsonfile_path: %s: %s", path, error)
        return {}
    return data if isinstance(data, dict) else {}


def by_provider(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """What vendor_data2.json holds: each provider's data under its name."""
    data = static(conf)
    return {"static": data} if data else {}
