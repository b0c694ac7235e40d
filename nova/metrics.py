"""What a daemon counts about itself, in Prometheus' terms.

Counting costs a microsecond and goes on whether anybody asks or not; nova.http.health serves the figures. Each label
has a bounded number of values: a route is a template, a service has one name however many hosts run it.

A daemon with several workers shows one figure for all of them: what was counted is added up, and a gauge says here how.
"""

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oslo_config import cfg
from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

from nova import concurrency, release

# When a series began is of no use to an operator, and doubles the page.
disable_created_metrics()  # type: ignore[no-untyped-call]

_LATENCY = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FIGURES_S = 30.0
_STATEMENT = (0.001, 0.01, 0.1, 1, 10)
_WORK = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)

Combine = Callable[[Iterable[float]], float]

# How the values of a daemon's workers make one, by the name of the gauge. What the client library tells of a process is a
# gauge, too: each worker may open so many files, but all of them together hold the memory.
COMBINED: dict[str, Combine] = {
    "process_max_fds": max,
    "process_open_fds": sum,
    "process_resident_memory_bytes": sum,
    "process_start_time_seconds": min,
    "process_virtual_memory_bytes": sum,
    "python_info": max,
}


def _gauge(combine: Combine, name: str, meaning: str, labels: Iterable[str] = ()) -> Gauge:
    """combine: what a daemon tells of its workers' values."""
    COMBINED[name] = combine
    return Gauge(name, meaning, labels)


BUILD = Info("nova_build", "Which release this is")
COMBINED["nova_build"] = max
BUILD.info({"version": release.version(), "python": platform.python_version()})
CHECKS = _gauge(min, "nova_check_passes", "Whether a check of /readyz passes", ["check"])

REQUESTS = Counter("nova_http_requests", "HTTP requests answered", ["method", "route", "code"])
HTTP = Histogram(
    "nova_http_request_duration_seconds", "How long HTTP requests took", ["method", "route"], buckets=_LATENCY
)

CALLS = Histogram("nova_rpc_call_seconds", "Calls answered over the bus", ["method", "outcome"], buckets=_LATENCY)
ASKED = Histogram(
    "nova_rpc_client_call_seconds",
    "Calls made over the bus: who was asked, and how that ended",
    ["service", "method", "outcome"],
    buckets=_LATENCY,
)
DEAF = _gauge(max, "nova_rpc_deaf", "Whether this daemon does not hear itself through its own queue", ["topic"])

POOL = _gauge(sum, "nova_database_connections", "Connections of this process to a database", ["database", "state"])
TRANSACTIONS = Histogram(
    "nova_database_transaction_seconds",
    "Transactions, with the attempts that the database broke off",
    ["database", "outcome"],
    buckets=_LATENCY,
)
STATEMENTS = Histogram(
    "nova_database_statement_seconds",
    "Statements that a database was sent: of which kind, and the first table that they name",
    ["database", "statement", "table", "outcome"],
    buckets=_STATEMENT,
)

STEPS = Histogram("nova_step_seconds", "Steps of operations done", ["operation", "step", "outcome"], buckets=_WORK)
OPERATIONS = Histogram(
    "nova_operation_duration_seconds",
    "Operations, from acceptance to their end",
    ["operation", "outcome"],
    buckets=_WORK,
)
TAKEOVERS = Counter("nova_operation_takeovers", "Operations taken over from a conductor that fell silent")
DRIVING = _gauge(sum, "nova_operations_driving", "Operations this conductor is working on")
UNDER_WAY = _gauge(max, "nova_operations_under_way", "Operations of the cloud that have not ended", ["operation"])
OLDEST = _gauge(
    max, "nova_operations_oldest_seconds", "How long ago the oldest operation under way was accepted", ["operation"]
)
LATE = _gauge(max, "nova_operations_oldest_due_seconds", "How long the operation that waits longest is due")
LEFT = _gauge(max, "nova_operations_left", "Operations that have something left to do behind their point of no return")

SERVERS = _gauge(max, "nova_servers", "Servers of the cloud that are not deleted", ["vm_state"])
HOSTS = _gauge(max, "nova_hosts", "Hosts that run nova-compute", ["state", "status"])

QUOTA_IN_USE = _gauge(
    max, "nova_quota_in_use", "What all projects together have of a resource with quota", ["resource"]
)
QUOTA_NEAR = _gauge(
    max, "nova_quota_projects_near_limit", "Projects that use nine tenths of their limit, or more", ["resource"]
)
QUOTA_NEAREST = _gauge(
    max,
    "nova_quota_used_ratio",
    "The ten uses that are nearest to their limits: which part of the limit is used",
    ["project", "resource"],
)

RESOURCES = _gauge(
    max,
    "nova_placement_resources",
    "Resources of all providers: what may be given away (capacity), and what is (used)",
    ["resource_class", "kind"],
)

LIBVIRT = Histogram("nova_libvirt_call_seconds", "Calls of libvirt", ["call", "outcome"], buckets=_LATENCY)
IMAGES = Counter("nova_image_cache_requests", "Images that disks were made of: cached already, or brought", ["outcome"])

DECISIONS = Histogram("nova_scheduler_decision_seconds", "Choices of a host", ["outcome"], buckets=_LATENCY)
REJECTED = Counter("nova_scheduler_rejected_hosts", "Hosts that a stage of a decision removed", ["stage"])
KNOWN_HOSTS = _gauge(max, "nova_scheduler_known_hosts", "Nodes that this scheduler chooses from")


def watch_pool(database: str, in_use: Callable[[], float], size: Callable[[], float]) -> None:
    """Have the connections of a pool looked up when somebody asks: how many are in use, and how many there may be."""
    POOL.labels(database, "in_use").set_function(in_use)
    POOL.labels(database, "most").set_function(size)


class Figures:
    """What takes a query, counted in the background by count(), and only where somebody can ask for it.

    All workers of a daemon would count the same: the first does.
    """

    def __init__(self, conf: cfg.ConfigOpts, count: Callable[[], None]) -> None:
        self._is_wanted = bool(conf.health_port) and not concurrency.worker_number
        self._count = count
        self._periodic: concurrency.Periodic | None = None

    def start(self) -> None:
        if self._is_wanted:
            self._periodic = concurrency.Periodic(_FIGURES_S, self._count, "figures of the cloud", at_once=True)

    def stop(self) -> None:
        if self._periodic:
            self._periodic.stop()


def replace(gauge: Gauge, values: Mapping[Any, float]) -> None:
    """Set a gauge by its labels, a text or a tuple of texts; what is not among them is gone."""
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*(labels if isinstance(labels, tuple) else (labels,))).set(value)
