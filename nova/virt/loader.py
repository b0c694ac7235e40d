"""Makes the driver that [DEFAULT] compute_driver names."""

import importlib

from oslo_config import cfg

from nova.conf import BadConfiguration
from nova.virt.driver import Driver

_DRIVERS = {
    "fake.FakeDriver": ("nova.virt.fake", "FakeDriver"),
    "libvirt.LibvirtDriver": ("nova.virt.libvirt", "LibvirtDriver"),
    "xenapi.XenAPIDriver": ("nova.virt.xenserver", "XenAPIDriver"),
    "vmwareapi.VMwareVCDriver": ("nova.virt.vmware", "VMwareVCDriver"),
}


def load(conf: cfg.ConfigOpts, host: str) -> Driver:
    """The driver for one host. Raises BadConfiguration for a name that is none."""
    name = conf.compute_driver
    if name not in _DRIVERS:
        known = ", ".join(sorted(_DRIVERS))
        said = f"= {name}" if name else "is not set"
        raise BadConfiguration(f"[DEFAULT] compute_driver {said}; it must be one of {known}")
    module, cls = _DRIVERS[name]
    # Imported only now: a host without libvirt can run the fake driver.
    driver: Driver = getattr(importlib.import_module(module), cls)(conf, host)
    return driver
