"""Guests of one cluster of a vCenter."""

from nova.virt.vmware.driver import VMwareVCDriver

__all__ = ["VMwareVCDriver"]
