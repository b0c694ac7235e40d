"""Load a cloud and say how fast it answers.

    tools/bench.py                 the Compute API of the cloud that OS_* describe
    tools/bench.py --only boot,many some of the measurements
    tools/bench.py --only crowd --database URL     with 100,000 servers, written by the database itself
    tools/bench.py --metrics URL   and how much memory the daemon with this /metrics page has taken
    tools/bench.py placement       the Placement API (see tools/bench_placement.py)
    tools/bench.py objectstore     an object's way in and out (see tools/bench_objectstore.py)
    tools/bench.py scheduler       decisions among many hosts (see tools/bench_scheduler.py)

Any Compute endpoint will do: it is found in the Keystone catalog, so that two implementations can be
measured side by side with the same program. Figures are wall-clock times of whole requests as a
client with one kept-alive connection sees them.
"""

import argparse
import http.client
import json
import os
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import openstack

sys.path.insert(0, str(Path(__file__).parent))

import bench_crowd
import bench_objectstore
import bench_placement
import bench_scheduler

MICROVERSION = "2.79"


class Row(NamedTuple):
    """One figure. target is what it has to reach, in the same unit."""

    name: str
    figure: float
    unit: str
    target: str = ""


class Connection:
    """One kept-alive connection to an endpoint."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=120)
        self._prefix = parts.path.rstrip("/")
        self._headers = {
            "X-Auth-Token": token,
            "OpenStack-API-Version": f"compute {MICROVERSION}",
            "Content-Type": "application/json",
        }

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw = None if body is None else json.dumps(body).encode()
        self._http.request(method, self._prefix + path, raw, self._headers)
        answer = self._http.getresponse()
        content = answer.read()
        return answer.status, content

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, content = self.send(method, path, body)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content) if content else None


class Bench:
    """The measurements of one cloud. Everything it makes it deletes."""

    def __init__(self, url: str, token: str, image: str, flavor: str, network: str, count: int, listed: int) -> None:
        self._connect: Callable[[], Connection] = lambda: Connection(url, token)
        self.connection = self._connect()
        self.image, self.flavor, self.network = image, flavor, network
        self.count, self.listed = count, listed

    def wanted(self, name: str) -> dict[str, Any]:
        networks: Any = "none" if self.network == "none" else [{"uuid": self.network}]
        return {"server": {"name": name, "imageRef": self.image, "flavorRef": self.flavor, "networks": networks}}

    def boot(self) -> list[Row]:
        """Servers one after the other: the request, and until ACTIVE."""
        accepted, active, shown, gone = [], [], [], []
        for number in range(self.count):
            began = time.perf_counter()
            server_id = self.connection.ok("POST", "/servers", self.wanted(f"bench-{number}"))["server"]["id"]
            accepted.append(time.perf_counter() - began)
            self._wait(server_id, "ACTIVE")
            active.append(time.perf_counter() - began)
            for _ in range(5):
                began = time.perf_counter()
                self.connection.ok("GET", f"/servers/{server_id}")
                shown.append(time.perf_counter() - began)
            began = time.perf_counter()
            self.connection.ok("DELETE", f"/servers/{server_id}")
            self._wait_gone(server_id)
            gone.append(time.perf_counter() - began)
        return [
            *_latency("boot accepted", accepted, "30"),
            *_latency("boot to ACTIVE, alone", active, "100"),
            *_latency("show", shown, "8"),
            *_latency("delete until gone, alone", gone),
        ]

    def burst(self, size: int = 200, clients: int = 8) -> list[Row]:
        """Many servers at once, each by a request of its own."""
        ids: list[str] = []
        lock = threading.Lock()

        def work(numbers: range) -> None:
            connection = self._connect()
            for number in numbers:
                made = connection.ok("POST", "/servers", self.wanted(f"burst-{number}"))
                with lock:
                    ids.append(made["server"]["id"])

        began = time.perf_counter()
        _in_threads([lambda i=i: work(range(i, size, clients)) for i in range(clients)])
        accepted = time.perf_counter() - began
        wanted = set(ids)
        while True:
            if wanted <= {one["id"] for one in self._all("/servers?limit=1000&status=ACTIVE")}:
                break
            errors = [one for one in self._all("/servers/detail?status=ERROR") if one["id"] in wanted]
            if errors:
                raise SystemExit(f"{len(errors)} servers failed, for example: {errors[0].get('fault')}")
            time.sleep(0.2)
        active = time.perf_counter() - began
        began = time.perf_counter()
        self._delete_all(ids)
        deleted = time.perf_counter() - began
        return [
            Row(f"burst of {size}: accepted", size / accepted, "servers/s"),
            Row(f"burst of {size}: ACTIVE", size / active, "servers/s", ">= 20"),
            Row(f"burst of {size}: deleted", size / deleted, "servers/s"),
        ]

    def many(self) -> list[Row]:
        """Many servers in one answer, and one of them; many clients at once."""
        present = len(self._all("/servers?limit=1000"))
        missing = max(0, self.listed - present)
        made = self._fill(missing)
        detail = [self._time("GET", f"/servers/detail?limit={self.listed}") for _ in range(10)]
        basic = [self._time("GET", f"/servers?limit={self.listed}") for _ in range(10)]
        one = self._all("/servers?limit=1")[0]["id"]
        shown = [self._time("GET", f"/servers/{one}") for _ in range(100)]
        rate = self._rate(lambda connection: connection.ok("GET", f"/servers/{one}"), clients=10, seconds=5)
        self._delete_all(made)
        return [
            *_latency(f"list {self.listed} servers in detail", detail, "250"),
            *_latency(f"list {self.listed} servers", basic),
            *_latency(f"show, with {self.listed} servers", shown, "8"),
            Row("show, 10 clients", rate, "requests/s", ">= 200"),
        ]

    def crowd(self, database: str, size: int = 100_000) -> list[Row]:
        """Lists out of very many servers, all in this project: copies of one, made where no daemon is asked."""
        made = self.connection.ok("POST", "/servers", self.wanted("crowd"))["server"]["id"]
        self._wait(made, "ACTIVE")
        with bench_crowd.copies(database, made, size):
            paths = {
                "first page": "/servers/detail?limit=100",
                "by status and name": "/servers/detail?limit=100&status=ACTIVE&name=crowd-9",
                "sorted by name": "/servers/detail?limit=100&sort_key=display_name&sort_dir=asc",
                "all changed since 2020": "/servers/detail?limit=100&changes-since=2020-01-01T00:00:00Z",
            }
            halfway = self._all("/servers?limit=1000")[-1]["id"]
            paths["later page"] = f"/servers/detail?limit=100&status=ACTIVE&marker={halfway}"
            rows = []
            for name, path in paths.items():
                # No index serves an order by name, nor changes that deleted servers count among and all have.
                target = "" if name in ("sorted by name", "all changed since 2020") else "60"
                rows += _latency(f"100 of {size}, {name}", [self._time("GET", path) for _ in range(20)], target)
        self._delete_all([made])
        return rows

    def small(self) -> list[Row]:
        """Requests that every client makes all the time."""
        rows = []
        for name, path in (("flavors", "/flavors/detail"), ("limits", "/limits"), ("key pairs", "/os-keypairs")):
            rows += _latency(name, [self._time("GET", path) for _ in range(50)], "6")
        return rows

    def _time(self, method: str, path: str) -> float:
        began = time.perf_counter()
        status, content = self.connection.send(method, path)
        elapsed = time.perf_counter() - began
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {content[:300]!r}")
        return elapsed

    def _rate(self, request: Callable[[Connection], Any], clients: int, seconds: float) -> float:
        until = time.perf_counter() + seconds
        counts = [0] * clients

        def work(number: int) -> None:
            connection = self._connect()
            while time.perf_counter() < until:
                request(connection)
                counts[number] += 1

        began = time.perf_counter()
        _in_threads([lambda i=i: work(i) for i in range(clients)])
        return sum(counts) / (time.perf_counter() - began)

    def _fill(self, count: int) -> list[str]:
        """Servers to list, a hundred by one request."""
        before = {one["id"] for one in self._all("/servers?limit=1000")}
        for start in range(0, count, 100):
            body = self.wanted(f"listed-{start}")
            body["server"] |= {"min_count": min(100, count - start), "max_count": min(100, count - start)}
            self.connection.ok("POST", "/servers", body)
        while any(one["OS-EXT-STS:task_state"] for one in self._all("/servers/detail?limit=1000")):
            time.sleep(0.5)
        return [one["id"] for one in self._all("/servers?limit=1000") if one["id"] not in before]

    def _all(self, path: str) -> Any:
        return self.connection.ok("GET", path)["servers"]

    def _delete_all(self, ids: list[str]) -> None:
        for server_id in ids:
            self.connection.ok("DELETE", f"/servers/{server_id}")
        gone = set(ids)
        while gone & {one["id"] for one in self._all("/servers?limit=1000")}:
            time.sleep(0.1)

    def _wait(self, server_id: str, status: str) -> None:
        while True:
            server = self.connection.ok("GET", f"/servers/{server_id}")["server"]
            if server["status"] == status:
                return
            if server["status"] == "ERROR":
                raise SystemExit(f"server {server_id} failed: {server.get('fault')}")
            time.sleep(0.01)

    def _wait_gone(self, server_id: str) -> None:
        while self.connection.send("GET", f"/servers/{server_id}")[0] != 404:
            time.sleep(0.01)


def _latency(name: str, seconds: list[float], target_ms: str = "") -> list[Row]:
    ordered = sorted(seconds)
    p50 = statistics.median(ordered) * 1000
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000
    return [Row(f"{name}: p50", p50, "ms", f"<= {target_ms}" if target_ms else ""), Row(f"{name}: p95", p95, "ms")]


def _in_threads(functions: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(arguments: argparse.Namespace) -> None:
    """Find the endpoint, an image, a flavor and a network, and take every measurement asked for."""
    cloud = openstack.connect()
    compute = cloud.session.get_endpoint(service_type="compute", interface="public")
    image = next(image.id for image in cloud.image.images() if arguments.image in ("", image.name))
    flavor = next(flavor.id for flavor in cloud.compute.flavors() if flavor.name == arguments.flavor)
    cloud.compute.put(
        f"/os-quota-sets/{cloud.current_project_id}", json={"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    )
    with _network(cloud, arguments.network) as network:
        bench = Bench(compute, cloud.auth_token, image, flavor, network, arguments.count, arguments.listed)
        for name in arguments.only.split(","):
            for row in bench.crowd(arguments.database) if name == "crowd" else getattr(bench, name)():
                _show(row)
        for url in arguments.metrics:
            _show(_memory(url))


def _show(row: Row) -> None:
    print(f"{row.name:<44} {row.figure:>10.1f} {row.unit:<11} {row.target}", flush=True)


def _memory(url: str) -> Row:
    """What a daemon's /metrics page says of its process."""
    with urllib.request.urlopen(url, timeout=10) as page:
        lines = page.read().decode().splitlines()
    resident = next(float(line.split()[1]) for line in lines if line.startswith("process_resident_memory_bytes "))
    return Row(f"memory of {urlsplit(url).netloc}", resident / 2**20, "MiB")


@contextmanager
def _network(cloud: Any, name: str) -> Iterator[str]:
    """The id of a network: the one named, "none", or one made for this run with room for many servers."""
    if name == "none":
        yield name
        return
    if name:
        yield next(one.id for one in cloud.network.networks(name=name))
        return
    made = cloud.network.create_network(name="bench")
    try:
        cloud.network.create_subnet(network_id=made.id, name="bench", cidr="10.240.0.0/16", ip_version=4)
        yield made.id
    finally:
        cloud.network.delete_network(made.id)


def main() -> int:
    if sys.argv[1:2] == ["placement"]:
        del sys.argv[1]
        return bench_placement.main()
    if sys.argv[1:2] == ["objectstore"]:
        del sys.argv[1]
        return bench_objectstore.main()
    if sys.argv[1:2] == ["scheduler"]:
        del sys.argv[1]
        return bench_scheduler.main()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # Measurements are methods of Bench.
    parser.add_argument("--only", default="boot,burst,many,small", help="measurements, separated by commas")
    parser.add_argument("--count", type=int, default=30, help="servers booted one at a time")
    parser.add_argument("--listed", type=int, default=1000, help="servers in the long list")
    parser.add_argument("--database", help="the URL of the compute database, for crowd")
    parser.add_argument("--metrics", action="append", default=[], help="a daemon's /metrics page; may be repeated")
    parser.add_argument("--image", default="", help="an image's name; the first one there is")
    parser.add_argument("--flavor", default="m1.tiny")
    parser.add_argument("--network", default="", help="a network's name, or none; one made for the run")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}")
    measure(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
