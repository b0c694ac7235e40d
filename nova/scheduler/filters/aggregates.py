"""What the metadata of a host's aggregates reserves it for: flavors, images, projects."""

from collections.abc import Mapping

from oslo_config import cfg

from nova.scheduler.filters.filter import Check, Filter
from nova.scheduler.filters.requirement import Requirement, parse
from nova.scheduler.host_candidate import HostCandidate, Refusal
from nova.structs.host import Aggregate, HostState
from nova.structs.schedule import PlacementRequest

SCOPE = "aggregate_instance_extra_specs"


class AggregateInstanceExtraSpecsFilter(Filter):
    """The flavor's extra specs of this scope, and those without one, must be met by the host's aggregates."""

    def check(self, request: PlacementRequest) -> Check | None:
        requirements = _requirements(request.flavor.extra_specs)
        if not requirements:
            return None

        def check(host: HostCandidate) -> Refusal | None:
            for key, text, is_met in requirements:
                values = host.aggregate_values(key)
                if not any(is_met(value) for value in values):
                    detail = f"they say {', '.join(sorted(values))}" if values else "they say nothing of it"
                    return Refusal(f"is in no aggregate with the flavor's {key} {text}", detail)
            return None

        return check


def _requirements(extra_specs: Mapping[str, str]) -> list[tuple[str, str, Requirement]]:
    requirements = []
    for key, text in sorted(extra_specs.items()):
        scope, colon, rest = key.partition(":")
        if not colon:
            requirements.append((key, text, parse(text)))
        elif scope == SCOPE:
            requirements.append((rest, text, parse(text)))
    return requirements


class AggregateImagePropertiesIsolation(Filter):
    """Drops hosts whose aggregates have another value for a property that the image has."""

    judges_image = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        namespace = conf.filter_scheduler.aggregate_image_properties_isolation_namespace
        separator = conf.filter_scheduler.aggregate_image_properties_isolation_separator
        self._prefix = f"{namespace}{separator}" if namespace else ""

    def check(self, request: PlacementRequest) -> Check | None:
        properties = request.image.properties if request.image else {}
        image_values = {key: str(value) for key, value in properties.items() if key.startswith(self._prefix)}
        if not image_values:
            return None

        def check(host: HostCandidate) -> Refusal | None:
            for aggregate in host.state.aggregates:
                for key in aggregate.metadata.keys() & image_values.keys():
                    if image_values[key] not in host.aggregate_values(key):
                        short = f"is kept for images with another {key}"
                        return Refusal(short, f"aggregate {aggregate.name} says {aggregate.metadata[key]}")
            return None

        return check


class AggregateMultiTenancyIsolation(Filter):
    """Hosts whose aggregates name projects in filter_tenant_id take servers of those projects only."""

    def check(self, request: PlacementRequest) -> Check | None:
        reason = Refusal("is kept for other projects")

        def check(host: HostCandidate) -> Refusal | None:
            projects = host.aggregate_values("filter_tenant_id")
            return reason if projects and request.project_id not in projects else None

        return check


class AggregateTypeAffinityFilter(Filter):
    """Hosts whose aggregates name flavors in instance_type take servers of those flavors only."""

    def check(self, request: PlacementRequest) -> Check | None:
        name = request.flavor.name

        def check(host: HostCandidate) -> Refusal | None:
            flavors = host.aggregate_values("instance_type")
            if not flavors or name in flavors:
                return None
            return Refusal("is kept for other flavors", ", ".join(sorted(flavors)))

        return check


class ProjectAggregatesFilter(Filter):
    """A project that aggregates name gets hosts of those aggregates only: limit_tenants_to_placement_aggregate.

    The metadata key is filter_tenant_id or begins with it; the value lists projects, by commas.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._is_required = conf.scheduler.placement_aggregate_required_for_tenants

    def check_among(self, request: PlacementRequest, known: Mapping[str, HostState]) -> Check | None:
        """known: all hosts, for a project's aggregates count also where its hosts are full."""
        # All aggregates, also of hosts that are full: a project does not spill over.
        aggregates = {aggregate.id: aggregate for state in known.values() for aggregate in state.aggregates}
        own = {number for number, aggregate in aggregates.items() if request.project_id in _projects(aggregate)}
        if not own and not self._is_required:
            return None
        reason = Refusal("is in no aggregate of this project")
        return lambda host: None if any(aggregate.id in own for aggregate in host.state.aggregates) else reason


def _projects(aggregate: Aggregate) -> set[str]:
    return {
        project.strip()
        for key, value in aggregate.metadata.items()
        if key.startswith("filter_tenant_id")
        for project in value.split(",")
    }


class IsolatedAggregatesFilter(Filter):
    """Hosts of aggregates that require traits take servers that require them too:
    enable_isolated_aggregate_filtering."""

    def check(self, request: PlacementRequest) -> Check | None:
        required = frozenset(request.required_traits)

        def check(host: HostCandidate) -> Refusal | None:
            for aggregate in host.state.aggregates:
                for key, value in aggregate.metadata.items():
                    trait = key.removeprefix("trait:")
                    if key.startswith("trait:") and value == "required" and trait not in required:
                        return Refusal(f"is kept for servers that require {trait}", f"by aggregate {aggregate.name}")
            return None

        return check
