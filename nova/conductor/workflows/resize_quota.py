"""What a resize counts for: until it is confirmed or reverted, the larger of both sizes."""

from nova.structs.flavor import Flavor
from nova.structs.instance import Instance


def growth(old: Flavor, new: Flavor) -> dict[str, int]:
    """How much more than old new counts for; nothing where it counts for less."""
    return {
        "cores": max(0, new.vcpus - old.vcpus),
        "ram": max(0, new.memory_mb - old.memory_mb),
    }


def server_quota(instance: Instance) -> dict[str, int]:
    """What a server counts for in its project's quota."""
    before = instance.properties.resized_from
    more = growth(instance.flavor, before.flavor) if before is not None else {"cores": 0, "ram": 0}
    return {
        "instances": 1,
        "cores": instance.flavor.vcpus + more["cores"],
        "ram": instance.flavor.memory_mb + more["ram"],
    }
