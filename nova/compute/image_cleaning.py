"""Removes cached images that no guest of this host has used for a while: a reconciler."""

import logging
from typing import Protocol, runtime_checkable

from oslo_config import cfg

from nova import concurrency
from nova.compute.image_cache import ImageCache

LOG = logging.getLogger(__name__)

_DEFAULT_INTERVAL_S = 60


@runtime_checkable
class StandsOnImages(Protocol):
    """A driver whose guests' disks stand on cached images."""

    def images_in_use(self) -> set[str]:
        """The paths of those images."""


class ImageCleaning:
    """The periodic job, for a driver whose disks stand on cached images."""

    def __init__(self, conf: cfg.ConfigOpts, cache: ImageCache, driver: object) -> None:
        self._options = conf.image_cache
        self._cache = cache
        self._driver = driver
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        """Begin, unless [image_cache] switches the job off or the driver has no use for it."""
        interval_s = self._options.manager_interval or _DEFAULT_INTERVAL_S
        if interval_s > 0 and self._options.remove_unused_base_images and isinstance(self._driver, StandsOnImages):
            self._periodic = concurrency.Periodic(interval_s, self.clean, "image-cleaning")

    def stop(self) -> None:
        if self._periodic is not None:
            self._periodic.stop()

    def clean(self) -> None:
        """Remove images that no disk stands on and that are older than the configured age."""
        assert isinstance(self._driver, StandsOnImages)
        # An image fetched after this question is young, so it stays.
        in_use = self._driver.images_in_use()
        removed = self._cache.prune(in_use, self._options.remove_unused_original_minimum_age_seconds)
        if removed:
            LOG.info("cached images removed, for no guest used them lately: %s", ", ".join(removed))
