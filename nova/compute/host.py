"""One host as the steps see it: its name, its driver, its images."""

from dataclasses import dataclass

from oslo_config import cfg

from nova.compute.image_cache import ImageCache
from nova.virt.driver import Driver


@dataclass(frozen=True)
class Host:
    conf: cfg.ConfigOpts
    name: str
    driver: Driver
    images: ImageCache
