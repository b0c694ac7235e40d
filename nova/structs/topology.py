"""How a guest's processors are grouped into sockets, cores and threads.

Source: user guide, "Extra specs", hw:cpu_* and hw:cpu_max_*; Image service, useful image properties. The flavor's
values win over the image's.
"""

from collections.abc import Mapping
from typing import NamedTuple

_PARTS = ("sockets", "cores", "threads")


class Topology(NamedTuple):
    """The product is the number of processors."""

    sockets: int
    cores: int
    threads: int


def choose(vcpus: int, extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> Topology | None:
    """The grouping that keeps below every maximum and meets most wishes: sockets before cores before threads.

    What is not wished for is filled up with sockets. None: no grouping keeps below the maxima. A wish is a hint, a
    maximum and the number of processors are promises.
    """
    wishes = [_number("cpu_", part, extra_specs, properties) for part in _PARTS]
    most = [_number("cpu_max_", part, extra_specs, properties) or vcpus for part in _PARTS]
    possible = [
        Topology(sockets, cores, vcpus // (sockets * cores))
        for sockets in _divisors(vcpus)
        for cores in _divisors(vcpus // sockets)
    ]
    allowed = [one for one in possible if all(number <= limit for number, limit in zip(one, most, strict=True))]
    if not allowed:
        return None

    def preference(one: Topology) -> tuple[bool | int, ...]:
        met = (wish is None or number == wish for number, wish in zip(one, wishes, strict=True))
        return (*met, -one.threads, -one.cores)

    return max(allowed, key=preference)


def _number(prefix: str, part: str, extra_specs: Mapping[str, str], properties: Mapping[str, str]) -> int | None:
    word = extra_specs.get(f"hw:{prefix}{part}") or properties.get(f"hw_{prefix}{part}")
    return int(word) if word and word.isdigit() and int(word) > 0 else None


def _divisors(number: int) -> list[int]:
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]
