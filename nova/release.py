"""Which release this is."""

from importlib import metadata


def version() -> str:
    """The version of the installed package; "unknown" for a source tree that nobody installed."""
    try:
        return metadata.version("nova")
    except metadata.PackageNotFoundError:
        return "unknown"
