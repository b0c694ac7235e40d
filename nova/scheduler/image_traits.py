"""The traits an image requires of a host, where the configuration lets Placement check them.

Source: Compute configuration reference, [scheduler] query_placement_for_image_type_support and
image_metadata_prefilter; names are os-traits'.
"""

from oslo_config import cfg

from nova.structs.image import Image

# Image properties that name a device's model or bus, and the family of traits that say who has it.
_FAMILIES = {
    "hw_cdrom_bus": "COMPUTE_STORAGE_BUS",
    "hw_disk_bus": "COMPUTE_STORAGE_BUS",
    "hw_video_model": "COMPUTE_GRAPHICS_MODEL",
    "hw_vif_model": "COMPUTE_NET_VIF_MODEL",
}


class ImageTraits:
    """Derives required traits from an image, as far as the two options are on."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._asks_format = conf.scheduler.query_placement_for_image_type_support
        self._asks_devices = conf.scheduler.image_metadata_prefilter

    def of(self, image: Image | None) -> tuple[str, ...]:
        """The traits a host must have for this image; none when the operator does not ask for them."""
        if image is None:
            return ()
        traits = {f"COMPUTE_IMAGE_TYPE_{image.disk_format.upper()}"} if self._asks_format else set()
        if self._asks_devices:
            traits |= {
                f"{family}_{image.properties[name].upper().replace('-', '_')}"
                for name, family in _FAMILIES.items()
                if image.properties.get(name)
            }
        return tuple(sorted(traits))
