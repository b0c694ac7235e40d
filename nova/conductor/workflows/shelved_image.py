"""What a server's record says of the image it was shelved to, and what is done with that.

A shelve that broke off has left the server's disk in that image alone: the record names it until another disk is whole.
Which image, since when and from which host stands in system_metadata.
"""

from typing import Any

import msgspec

from nova.conductor.engine.step_context import StepContext
from nova.structs.instance import Instance

IMAGE, SINCE, HOST = "shelved_image_id", "shelved_at", "shelved_host"


def of(instance: Instance) -> str | None:
    """The image that a server's disk can be made of again; None for a server that boots from a volume, too."""
    return None if instance.image_id is None else instance.system_metadata.get(IMAGE)


def forgotten(instance: Instance) -> dict[str, str]:
    """The server's system_metadata without its image: it has its disk, and the image is any other."""
    return {key: value for key, value in instance.system_metadata.items() if key not in (IMAGE, SINCE, HOST)}


def is_named(instance: Instance) -> bool:
    """Whether the record says that the server was shelved."""
    return any(key in instance.system_metadata for key in (IMAGE, SINCE, HOST))


def made_of(instance: Instance, image_id: str | None, context: StepContext) -> Instance:
    """The server as its host is to make it: of the image, where there is one. Raises ImageNotFound."""
    if image_id is None:
        return instance
    image = context.images.get(image_id)
    return msgspec.structs.replace(instance, image=image, image_id=image.id)


def remove_image(op: Any, context: StepContext) -> Any:
    """The server has its disk again. A server that boots from a volume has had no image."""
    if op.image_id is not None:
        context.images.delete(op.image_id)
    return op
