"""The driver for XenServer and XCP-ng through their management API. Nothing else in this project imports XenAPI."""

from nova.virt.xenserver.driver import XenAPIDriver

__all__ = ["XenAPIDriver"]
