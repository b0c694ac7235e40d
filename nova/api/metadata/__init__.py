"""The metadata API: what guests read at 169.254.169.254."""

from nova.api.metadata.app import application

__all__ = ["application"]
