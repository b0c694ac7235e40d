"""ComputeCapabilitiesFilter: does the host have what the flavor's extra specs ask of it?"""

from collections.abc import Mapping

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.filters.requirement import Requirement, parse
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.flavor import GROUP_POLICY
from nova.structs.schedule import PlacementRequest

SCOPE = "capabilities"


class ComputeCapabilitiesFilter(Filter):
    """Extra specs of the scope "capabilities", and those without a scope, name attributes of the host.

    A key may be a path: capabilities:cpu_info:features. An attribute that no host has fails every host.
    """

    def check(self, request: PlacementRequest) -> Check | None:
        requirements = _requirements(request.flavor.extra_specs)
        if not requirements:
            return None

        def check(host: HostCandidate) -> Refusal | None:
            for path, text, is_met in requirements:
                value = host.attribute(path)
                if value is None:
                    return Refusal(f"has no {':'.join(path)} to compare with the flavor's '{text}'")
                if not is_met(value):
                    return Refusal(f"does not meet the flavor's {':'.join(path)} {text}", f"it has {_shorten(value)}")
            return None

        return check


def _requirements(extra_specs: Mapping[str, str]) -> list[tuple[list[str], str, Requirement]]:
    requirements = []
    for key, text in sorted(extra_specs.items()):
        scope, colon, rest = key.partition(":")
        if key == GROUP_POLICY:
            # It says how groups of resources may be given, nothing of a host.
            continue
        if not colon:
            requirements.append(([key], text, parse(text)))
        elif scope == SCOPE:
            requirements.append((rest.split(":"), text, parse(text)))
    return requirements


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
