"""One host as the steps see it: its name, its driver, its images, its networks."""

from dataclasses import dataclass, field

from oslo_config import cfg

from nova.clients.image import Images
from nova.compute.image_cache import ImageCache
from nova.compute.jobs import Jobs
from nova.network.host.agent import HostNetworks
from nova.virt.driver import Driver


@dataclass(frozen=True)
class Host:
    """networks is None for a driver whose guests have no devices on this host. jobs: live migrations under way."""

    conf: cfg.ConfigOpts
    name: str
    driver: Driver
    images: ImageCache
    image_service: Images
    networks: HostNetworks | None = None
    jobs: Jobs = field(default_factory=Jobs)
