"""The filters by name, and which of them a configuration enables.

A name that is no filter stops the scheduler at its start: no filter is ever left out silently.
"""

import importlib
import logging
from collections.abc import Iterable, Iterator

from oslo_config import cfg

from nova.conf import BadConfiguration
from nova.scheduler.filters.aggregates import (
    AggregateImagePropertiesIsolation,
    AggregateInstanceExtraSpecsFilter,
    AggregateMultiTenancyIsolation,
    AggregateTypeAffinityFilter,
    IsolatedAggregatesFilter,
    ProjectAggregatesFilter,
)
from nova.scheduler.filters.capabilities import ComputeCapabilitiesFilter
from nova.scheduler.filters.compute import AllHostsFilter, ComputeFilter
from nova.scheduler.filters.filter import Filter
from nova.scheduler.filters.group import ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter
from nova.scheduler.filters.image import ImagePropertiesFilter
from nova.scheduler.filters.isolation import IsolatedHostsFilter
from nova.scheduler.filters.json_query import JsonFilter
from nova.scheduler.filters.load import (
    AggregateIoOpsFilter,
    AggregateNumInstancesFilter,
    IoOpsFilter,
    NumInstancesFilter,
)
from nova.scheduler.filters.request import (
    AvailabilityZoneFilter,
    DifferentHostFilter,
    RetryFilter,
    SameHostFilter,
    SimpleCIDRAffinityFilter,
)

LOG = logging.getLogger(__name__)

ALL = "nova.scheduler.filters.all_filters"

# What a request insists on is met whether or not it is listed.
ALWAYS: tuple[type[Filter], ...] = (
    RetryFilter,
    AvailabilityZoneFilter,
    SameHostFilter,
    DifferentHostFilter,
    ServerGroupAntiAffinityFilter,
    ServerGroupAffinityFilter,
)
BUILT_IN: dict[str, type[Filter]] = {
    kind.__name__: kind
    for kind in (
        *ALWAYS,
        AggregateImagePropertiesIsolation,
        AggregateInstanceExtraSpecsFilter,
        AggregateIoOpsFilter,
        AggregateMultiTenancyIsolation,
        AggregateNumInstancesFilter,
        AggregateTypeAffinityFilter,
        AllHostsFilter,
        ComputeCapabilitiesFilter,
        ComputeFilter,
        ImagePropertiesFilter,
        IoOpsFilter,
        IsolatedHostsFilter,
        JsonFilter,
        NumInstancesFilter,
        SimpleCIDRAffinityFilter,
    )
}
# Filters of older releases whose question Placement answers now.
DONE_BY_PLACEMENT = frozenset({"CoreFilter", "DiskFilter", "ExactCoreFilter", "ExactDiskFilter", "RamFilter"})


def enabled(conf: cfg.ConfigOpts) -> list[Filter]:
    """The filters of [filter_scheduler] in their order, after those that always apply.

    Raises BadConfiguration for a name that is no available filter.
    """
    options = conf.filter_scheduler
    available = _available(options.available_filters)
    listed: list[type[Filter]] = []
    for name in options.enabled_filters:
        if name in DONE_BY_PLACEMENT:
            LOG.warning("[filter_scheduler] enabled_filters: %s is not needed, Placement does its work", name)
        elif name not in available:
            raise BadConfiguration(
                f"[filter_scheduler] enabled_filters: there is no filter {name}; there are {', '.join(sorted(available))}"
            )
        else:
            listed.append(available[name])
    first = [kind for kind in (*ALWAYS, *_switched_on(conf)) if kind not in listed]
    return [kind(conf) for kind in (*first, *listed)]


def _switched_on(conf: cfg.ConfigOpts) -> Iterator[type[Filter]]:
    """The filters that options of [scheduler] switch on, whatever is listed."""
    if conf.scheduler.limit_tenants_to_placement_aggregate:
        yield ProjectAggregatesFilter
    if conf.scheduler.enable_isolated_aggregate_filtering:
        yield IsolatedAggregatesFilter


def _available(paths: Iterable[str]) -> dict[str, type[Filter]]:
    kinds: dict[str, type[Filter]] = {}
    for path in paths:
        if path == ALL:
            kinds.update(BUILT_IN)
            continue
        kind = load(path, "available_filters", Filter)
        kinds[kind.__name__] = kind
    return kinds


def load(path: str, option: str, base: type) -> type:
    """The class at a dotted path. Raises BadConfiguration when there is none, or it is of another kind."""
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadConfiguration(f"[filter_scheduler] {option}: {path} cannot be loaded: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise BadConfiguration(f"[filter_scheduler] {option}: {path} is no {base.__name__}")
    return kind
