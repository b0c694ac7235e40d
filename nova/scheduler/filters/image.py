"""ImagePropertiesFilter: can the host run what the image was made for?"""

import re
from collections.abc import Callable, Mapping

from oslo_config import cfg

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.filters.requirement import parse
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.image import Image
from nova.structs.schedule import PlacementRequest

# Today's name and the one it had before. Source: Compute admin guide, ImagePropertiesFilter.
_ARCHITECTURE = ("hw_architecture", "architecture")
_HYPERVISOR = ("img_hv_type", "hypervisor_type")
_MODE = ("hw_vm_mode", "vm_mode")
_VERSION = ("img_hv_requested_version", "hypervisor_version_requires")

_SAME_ARCHITECTURE = {
    "x64": "x86_64",
    "amd64": "x86_64",
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "arm64": "aarch64",
}
_SAME_HYPERVISOR = {"xapi": "xen", "powervm": "phyp"}
_SAME_MODE = {"pv": "xen", "hv": "hvm", "baremetal": "hvm"}


class ImagePropertiesFilter(Filter):
    """Passes hosts that can run the image's architecture, hypervisor, machine mode and hypervisor version."""

    judges_image = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._default_architecture = conf.filter_scheduler.image_properties_default_architecture

    def check(self, request: PlacementRequest) -> Check | None:
        """None for a server that boots from a volume, or an image that asks for nothing."""
        if request.image is None:
            return None
        required_kind = self._kind(request.image)
        version = _property(request.image.properties, _VERSION)
        if not any(required_kind) and not version:
            return None
        short = f"cannot run an image for {' '.join(word for word in (*required_kind, version) if word)}"
        is_version_met = _version(version) if version else None

        def check(host: HostCandidate) -> Refusal | None:
            node = host.state.state
            if any(required_kind) and not any(_is(kind, required_kind) for kind in node.supported_instances):
                return Refusal(short, f"it runs {_join_kinds(node.supported_instances)}")
            if is_version_met is not None and not is_version_met(node.hypervisor_version):
                return Refusal(short, f"its hypervisor's version is {node.hypervisor_version}")
            return None

        return check

    def _kind(self, image: Image) -> tuple[str, str, str]:
        """Architecture, hypervisor and machine mode the image requires; "" for any."""
        properties = image.properties
        return (
            _canonical(_property(properties, _ARCHITECTURE) or self._default_architecture, _SAME_ARCHITECTURE),
            _canonical(_property(properties, _HYPERVISOR), _SAME_HYPERVISOR),
            _canonical(_property(properties, _MODE), _SAME_MODE),
        )


def _property(properties: Mapping[str, str], names: tuple[str, str]) -> str:
    return next((str(properties[name]) for name in names if properties.get(name)), "")


def _canonical(name: str | None, same: Mapping[str, str]) -> str:
    lowered = (name or "").strip().lower()
    return same.get(lowered, lowered)


def _is(kind: tuple[str, str, str], required_kind: tuple[str, str, str]) -> bool:
    has = (
        _canonical(kind[0], _SAME_ARCHITECTURE),
        _canonical(kind[1], _SAME_HYPERVISOR),
        _canonical(kind[2], _SAME_MODE),
    )
    return all(want in ("", have) for want, have in zip(required_kind, has, strict=True))


def _join_kinds(kinds: tuple[tuple[str, str, str], ...]) -> str:
    return ", ".join(" ".join(kind) for kind in kinds[:5]) or "nothing that it reported"


def _version(text: str) -> Callable[[int], bool]:
    """Whether a hypervisor's version meets all of ">=6.2, <7" or ">=6002000", by commas."""
    parts = [parse(_as_number(part)) for part in text.split(",") if part.strip()]
    return lambda version: all(part(version) for part in parts)


def _as_number(part: str) -> str:
    """A version as hypervisors count theirs: 6.2.1 is 6002001, and so is 6002001 itself; 6 is 6000000."""

    def number(match: re.Match[str]) -> str:
        words = [int(word) for word in match.group().split(".")]
        if len(words) == 1 and words[0] >= 1000:
            return match.group()
        major, minor, micro = [*words, 0, 0][:3]
        return str(major * 1_000_000 + minor * 1_000 + micro)

    return re.sub(r"\d+(\.\d+)*", number, part.strip())
