"""Which release this is."""

from importlib import metadata

# PyPI's "nova" is another package: see doc/decisions/0049-name-of-the-distribution.md.
DISTRIBUTION = "nova-control-plane"


def version() -> str:
    """The version of the installed package; "unknown" for a source tree that nobody installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"
