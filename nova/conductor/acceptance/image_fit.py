"""Whether a server can be of a flavor and an image: asked before it is built, rebuilt or resized."""

from nova import errors
from nova.conductor.acceptance import image_properties, promises
from nova.structs.flavor import Flavor
from nova.structs.image import Image


def check(image: Image | None, flavor: Flavor) -> None:
    """Raises Invalid. None: the server boots from a volume."""
    promises.check(flavor, image)
    if image is None:
        return
    image_properties.check(image.properties)
    if image.status != "active":
        raise errors.Invalid(f"Image {image.id} is not active.")
    if image.min_ram > flavor.memory_mb:
        raise errors.Invalid("Flavor's memory is too small for requested image.")
    if flavor.root_gb and image.min_disk > flavor.root_gb:
        raise errors.Invalid(
            f"Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is "
            f"{flavor.root_gb << 30} bytes, minimum size is {image.min_disk << 30} bytes."
        )
    if flavor.root_gb and image.size > flavor.root_gb << 30:
        raise errors.Invalid(
            f"Flavor's disk is too small for requested image. Flavor disk is {flavor.root_gb << 30} bytes, "
            f"image is {image.size} bytes."
        )
