"""How long a decision takes among many hosts: the scheduler's own work, with Placement's answers out of memory.

    tools/bench.py scheduler [--hosts 10000] [--servers 40]

One after the other, and all at once. The answer of Placement is decoded as often as it is asked for; a claim takes
no time. Figures are processor time. Run it on two trees one after the other to compare them.
"""

import argparse
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from nova import conf as configuration
from nova.clients.placement.answers import read_candidates
from nova.scheduler.service import Scheduler
from nova.structs.flavor import Flavor
from nova.structs.guest import NodeState
from nova.structs.host import HostState, HostView
from nova.structs.schedule import Decision, PlacementRequest

_FLAVOR = Flavor(id="1", name="m1.tiny", vcpus=1, memory_mb=512, root_gb=1)


class _Placement:
    """Offers all hosts, and remembers what was claimed."""

    def __init__(self, providers: list[str]) -> None:
        self._lock = threading.Lock()
        self._used = dict.fromkeys(providers, 0)
        self.asked = 0

    def candidates(self, *_: Any, **__: Any) -> Any:
        with self._lock:
            self.asked += 1
            used = dict(self._used)
        return read_candidates(_answer(used))

    def claim(self, consumer: str, allocations: dict[str, Any], *_: Any) -> None:
        with self._lock:
            for provider in allocations:
                self._used[provider] += 1


def _answer(used: dict[str, int]) -> bytes:
    """What Placement says when every host has so many servers."""
    requests = [{"allocations": {provider: {"resources": _FLAVOR.resources()}}} for provider in used]
    summaries = {
        provider: {
            "root_provider_uuid": provider,
            "resources": {name: {"capacity": 100_000, "used": amount * count} for name, amount in _RESOURCES},
        }
        for provider, count in used.items()
    }
    return msgspec.json.encode({"allocation_requests": requests, "provider_summaries": summaries})


_RESOURCES = tuple(_FLAVOR.resources().items())


class _Conductor:
    def __init__(self, hosts: int) -> None:
        self.states = tuple(_state(number) for number in range(hosts))

    def host_view(self, since: int) -> HostView:
        return HostView(version=1, changed=self.states, all_nodes=tuple(state.provider_uuid for state in self.states))


def _state(number: int) -> HostState:
    node = NodeState(
        hypervisor_hostname=f"host-{number}",
        hypervisor_type="QEMU",
        hypervisor_version=7002000,
        host_ip="192.0.2.1",
        vcpus=8,
        memory_mb=8192,
        disk_gb=100,
        supported_instances=(("x86_64", "qemu", "hvm"),),
    )
    provider = str(uuid.UUID(int=number + 1))
    return HostState(host=f"host-{number}", node=f"host-{number}", provider_uuid=provider, zone="nova", state=node)


def _request() -> PlacementRequest:
    return PlacementRequest(
        instance_id=str(uuid.uuid4()), project_id="p", user_id="u", flavor=_FLAVOR, resources=_FLAVOR.resources()
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=40)
    arguments = parser.parse_args()
    conductor = _Conductor(arguments.hosts)
    placement: Any = _Placement([state.provider_uuid for state in conductor.states])
    conf = configuration.load([], [])
    conf.set_override("max_placement_results", 2 * arguments.hosts, group="scheduler")
    scheduler = Scheduler(conf, conductor, placement)
    scheduler.start()
    try:
        for name, clients in (("one after the other", 1), ("at once", arguments.servers)):
            _run(scheduler, placement, name, arguments.servers, clients)
    finally:
        scheduler.stop()
    return 0


def _run(scheduler: Scheduler, placement: Any, name: str, servers: int, clients: int) -> None:
    before = placement.asked
    with ThreadPoolExecutor(clients) as pool:
        began = time.process_time()
        decisions: list[Decision] = list(pool.map(scheduler.select, [_request() for _ in range(servers)]))
        seconds = time.process_time() - began
    hosts = {decision.host for decision in decisions}
    print(
        f"{servers} servers {name}: {1000 * seconds / servers:.1f} ms of processor time each, "
        f"{placement.asked - before} questions to Placement, {len(hosts)} hosts"
    )
