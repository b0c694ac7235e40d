"""One host as the steps see it: its name, its driver, its images, its networks."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from oslo_config import cfg

from nova.clients.image import Images
from nova.compute.image_cache import ImageCache
from nova.compute.jobs import Jobs
from nova.compute.plugging import Plugging
from nova.compute.starting import Starting
from nova.network.host.agent import HostNetworks
from nova.structs.network import Vif
from nova.virt.driver import Driver


@dataclass(frozen=True)
class Host:
    """networks is None for a driver whose guests have no devices on this host; so is plugging. jobs: live migrations
    under way. starting: guests that are started paused."""

    conf: cfg.ConfigOpts
    name: str
    driver: Driver
    images: ImageCache
    image_service: Images
    networks: HostNetworks | None = None
    jobs: Jobs = field(default_factory=Jobs)
    plugging: Plugging | None = None
    starting: Starting = field(default_factory=Starting)

    def has_to_wait(self, vifs: Iterable[Vif]) -> Plugging | None:
        """What to wait with until these ports are plugged; None: a guest need not wait."""
        return self.plugging if self.plugging is not None and self.plugging.is_waited_for(vifs) else None
