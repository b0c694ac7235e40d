"""The driver for KVM and QEMU through libvirt. Nothing else in this project imports libvirt."""

from nova.virt.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
