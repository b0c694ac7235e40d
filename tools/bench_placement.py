"""Measures Placement over HTTP: candidates, claims, memory; the figures of doc/performance.md.

Loads any Placement endpoint (--url, --token), or starts its own: a throwaway database server, one
worker of nova-placement-api, both gone afterwards. Each row is a name, what was measured, and the target.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]

import sqlalchemy as sa
from bench_placement_sql import CandidatesInSql
from throwaway_databases import database, free_port

FLAVOR = "VCPU:2,MEMORY_MB:2048,DISK_GB:20"
_CLAIM = {"VCPU": 2, "MEMORY_MB": 2048, "DISK_GB": 20}
_INVENTORIES: dict[str, dict[str, Any]] = {
    "VCPU": {"total": 64, "allocation_ratio": 4.0, "max_unit": 64},
    "MEMORY_MB": {"total": 262144, "reserved": 512},
    "DISK_GB": {"total": 4000},
}


class Client:
    """One kept-alive connection to a Placement endpoint."""

    def __init__(self, url: str, token: str, version: str = "1.39") -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=300)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"placement {version}"}

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        headers, raw = self._headers, None
        if body is not None:
            raw = json.dumps(body).encode()
            headers = {**headers, "Content-Type": "application/json"}
        try:
            return self._exchange(method, path, raw, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A server that does not keep connections, and does not say so.
            self._connection.close()
            return self._exchange(method, path, raw, headers)

    def _exchange(self, method: str, path: str, raw: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        self._connection.request(method, self._prefix + path, raw, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> bytes:
        return self._checked("GET", path)

    def put(self, path: str, body: Any) -> bytes:
        return self._checked("PUT", path, body)

    def post(self, path: str, body: Any) -> bytes:
        return self._checked("POST", path, body)

    def _checked(self, method: str, path: str, body: Any = None) -> bytes:
        status, raw = self.send(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {raw[:500]!r}")
        return raw


def add_hosts(url: str, token: str, count: int, threads: int = 4) -> list[str]:
    """Flat providers with VCPU, MEMORY_MB and DISK_GB; their uuids."""
    uuids = [str(uuid.uuid4()) for _ in range(count)]

    def add(client: Client, number: str) -> None:
        client.post("/resource_providers", {"name": f"host-{number}", "uuid": number})
        body = {"resource_provider_generation": 0, "inventories": _INVENTORIES}
        client.put(f"/resource_providers/{number}/inventories", body)

    _in_parallel(url, token, threads, uuids, add)
    return uuids


def fill_hosts(database_url: str, count: int) -> list[str]:
    """The same hosts, put into an idle Placement's tables directly: seconds instead of minutes."""
    from nova.placement import models as m  # noqa: PLC0415 - a run against --url needs none of it

    engine = sa.create_engine(database_url)
    with engine.begin() as connection:
        clock = connection.execute(sa.select(m.Clock.version)).scalar_one() + 1
        classes = dict(connection.execute(sa.select(m.ResourceClass.name, m.ResourceClass.id)).all())
        first = (connection.execute(sa.select(sa.func.max(m.ResourceProvider.id))).scalar() or 0) + 1
        now = {"version": clock, "shape_version": clock, "updated_at": int(time.time()), "generation": 1}
        providers, inventories = [], []
        for number in range(first, first + count):
            own = str(uuid.uuid4())
            providers.append({"id": number, "uuid": own, "name": f"host-{own}", "root_id": number, **now})
            for name, wanted in _INVENTORIES.items():
                plain = {"reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1, "allocation_ratio": 1.0}
                inventories.append({"provider_id": number, "class_id": classes[name], **plain, **wanted})
        connection.execute(sa.insert(m.ResourceProvider), providers)
        connection.execute(sa.insert(m.Inventory), inventories)
        connection.execute(sa.update(m.Clock).values(version=clock))
    engine.dispose()
    return [provider["uuid"] for provider in providers]


def add_pci_host(client: Client, devices: int = 8) -> str:
    """A host with one child provider per PCI device; the host's uuid."""
    root = str(uuid.uuid4())
    client.post("/resource_providers", {"name": f"pci-{root}", "uuid": root})
    client.put("/resource_classes/CUSTOM_PCI_BENCH", None)
    for number in range(devices):
        child = str(uuid.uuid4())
        name = f"pci-{root}-0000:81:{number:02x}.0"
        client.post("/resource_providers", {"name": name, "uuid": child, "parent_provider_uuid": root})
        body = {"resource_provider_generation": 0, "inventories": {"CUSTOM_PCI_BENCH": {"total": 1}}}
        client.put(f"/resource_providers/{child}/inventories", body)
    return root


def claim_body(provider: str) -> dict[str, Any]:
    return {
        "allocations": {provider: {"resources": _CLAIM}},
        "project_id": "bench",
        "user_id": "bench",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }


def latency(call: Callable[[], Any], times: int, pid: int | None = None) -> dict[str, float]:
    """Milliseconds of one call after another; the first is not counted.

    With the worker's pid also its own processor time per call: what remains of the figure when the
    machine is busy with other things.
    """
    call()
    taken = []
    spent = cpu_s(pid)
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1000)
    spent = cpu_s(pid) - spent
    taken.sort()
    found = {"p50_ms": round(statistics.median(taken), 2), "p95_ms": round(taken[int(len(taken) * 0.95)], 2)}
    return found if pid is None else {**found, "cpu_ms": round(spent * 1000 / times, 2)}


def cpu_s(pid: int | None) -> float:
    """Processor time a process has used."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def claims_per_second(
    url: str, token: str, providers: list[str], clients: int, total: int, pid: int | None = None
) -> dict[str, float]:
    chosen = [random.choice(providers) for _ in range(total)]
    taken: list[float] = []

    def claim(client: Client, provider: str) -> None:
        begin = time.perf_counter()
        client.put(f"/allocations/{uuid.uuid4()}", claim_body(provider))
        taken.append((time.perf_counter() - begin) * 1000)

    start, spent = time.perf_counter(), cpu_s(pid)
    _in_parallel(url, token, clients, chosen, claim)
    rate = total / (time.perf_counter() - start)
    found = {"per_s": round(rate, 1), "p50_ms": round(statistics.median(taken), 2)}
    return found if pid is None else {**found, "cpu_ms": round((cpu_s(pid) - spent) * 1000 / total, 2)}


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure; one row per figure, as dicts of name, target and what was found."""
    return list(rows(args))


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows of run(), each as soon as it is known."""
    if args.url:
        yield from _measure(args.url, args.token, args, None)
        return
    with worker(args.database) as own:
        yield from _measure(own.url, own.token, args, own)


class Worker(NamedTuple):
    """A worker that the bench has started."""

    url: str
    token: str
    pid: int
    database_url: str


def _measure(url: str, token: str, args: argparse.Namespace, own: Worker | None) -> Iterator[dict[str, Any]]:
    client = Client(url, token, args.version)
    pid = own.pid if own else None
    few, many = min(1000, args.providers), args.providers
    start = time.perf_counter()
    hosts = add_hosts(url, token, min(few, 200))
    rate = len(hosts) / (time.perf_counter() - start)
    yield {"name": f"register {len(hosts)} hosts (2 requests each)", "per_s": round(rate, 1)}
    hosts += _more_hosts(url, token, own, few - len(hosts))
    ten = f"/allocation_candidates?resources={FLAVOR}&limit=10"
    small = latency(lambda: client.get(ten), args.repeat, pid)
    yield {"name": f"candidates, limit 10 of {few}", **small}
    if many > few:
        hosts += _more_hosts(url, token, own, many - few)
    large = latency(lambda: client.get(ten), args.repeat, pid)
    yield {"name": f"candidates, limit 10 of {many}", "target": "p50 <= 20 ms", **large}
    growth = round(large["p50_ms"] / small["p50_ms"], 2)
    yield {"name": f"cost of limit 10, {few} to {many} providers", "target": "< 2 x", "times": growth}
    thousand = f"/allocation_candidates?resources={FLAVOR}&limit=1000"
    taken = latency(lambda: client.get(thousand), max(5, args.repeat // 5), pid)
    yield {"name": f"candidates, limit 1000 of {many}", "target": "p50 <= 120 ms", **taken}
    yield {
        "name": "claim, one client",
        "target": "p50 <= 10 ms",
        **latency(_claim_once(client, hosts), args.repeat, pid),
    }
    rates = claims_per_second(url, token, hosts, 8, args.claims, pid)
    yield {"name": "claims, 8 clients", "target": ">= 250/s", **rates}
    mixed = latency(_claim_and_ask(client, hosts, ten), max(5, args.repeat // 2), pid)
    yield {"name": "claim, then candidates limit 10", **mixed}
    if own is not None:
        yield {"name": f"worker's memory at {many} providers", "target": "< 300 MB", "mb": memory_mb(own.pid)}
        yield from _measure_sql(own.database_url, args, many)
    add_pci_host(client)
    groups = "&".join(f"resources{n}=CUSTOM_PCI_BENCH:1" for n in range(1, 9))
    for policy in ("isolate", "none"):
        path = f"/allocation_candidates?{groups}&group_policy={policy}&limit=1000"
        taken = latency(lambda path=path: client.get(path), max(5, args.repeat // 5), pid)
        yield {"name": f"8 groups over 8 PCI providers, {policy}, limit 1000", "target": "p50 <= 100 ms", **taken}


def _more_hosts(url: str, token: str, own: Worker | None, count: int) -> list[str]:
    if count <= 0:
        return []
    return add_hosts(url, token, count) if own is None else fill_hosts(own.database_url, count)


def _measure_sql(url: str, args: argparse.Namespace, many: int) -> Iterator[dict[str, Any]]:
    """What the same answers would cost if they were searched for in SQL, without HTTP around it."""
    in_sql = CandidatesInSql(url, _CLAIM)
    for limit in (10, 1000):
        found = latency(in_sql.asker(limit), max(5, args.repeat // 5))
        yield {"name": f"the same in SQL, limit {limit} of {many}, no HTTP", **found}
    in_sql.close()


def _claim_once(client: Client, hosts: list[str]) -> Callable[[], None]:
    return lambda: client.put(f"/allocations/{uuid.uuid4()}", claim_body(random.choice(hosts)))


def _claim_and_ask(client: Client, hosts: list[str], path: str) -> Callable[[], None]:
    claim = _claim_once(client, hosts)

    def both() -> None:
        claim()
        client.get(path)

    return both


@contextmanager
def worker(kind: str, extra: str = "") -> Iterator[Worker]:
    """One worker of nova-placement-api over a database of its own."""
    root = Path(__file__).resolve().parents[1]
    with database(kind) as connection, tempfile.TemporaryDirectory(prefix="bench-placement-") as home:
        port = free_port()
        conf = Path(home) / "nova.conf"
        conf.write_text(
            f"[api]\nauth_strategy = noauth2\n[placement]\nlisten = 127.0.0.1\nlisten_port = {port}\nworkers = 1\n"
            f"[placement_database]\nconnection = {connection}\n{extra}"
        )
        environment = {**os.environ, "PYTHONPATH": f"{root}:{os.environ.get('PYTHONPATH', '')}"}
        entry = "from nova.cmd.{} import main; raise SystemExit(main())"
        options = ["--config-file", str(conf)]
        sync = [sys.executable, "-c", entry.format("placement_manage"), *options, "db", "sync"]
        subprocess.run(sync, check=True, env=environment)
        with (Path(home) / "log").open("wb") as log:
            serve = [sys.executable, "-c", entry.format("placement_api"), *options]
            process = subprocess.Popen(serve, env=environment, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            _await(url, process, Path(home) / "log")
            yield Worker(url, "admin", process.pid, connection)
        finally:
            process.terminate()
            process.wait(20)


def memory_mb(pid: int) -> int:
    """Resident memory of a process, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def _await(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            Client(url, "admin").get("/")
            return
        except (OSError, http.client.HTTPException):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nova-placement-api did not start:\n{log.read_text()[-4000:]}") from None
            time.sleep(0.1)


def _in_parallel(url: str, token: str, threads: int, items: list[str], work: Callable[[Client, str], None]) -> None:
    pending = iter(items)
    lock = threading.Lock()
    failures: list[Exception] = []

    def drain() -> None:
        client = Client(url, token)
        while not failures:
            with lock:
                item = next(pending, None)
            if item is None:
                return
            try:
                work(client, item)
            except Exception as error:
                failures.append(error)

    running = [threading.Thread(target=drain) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if failures:
        raise failures[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="a Placement endpoint to load; without it one is started")
    parser.add_argument("--token", default="admin", help="token for --url")
    parser.add_argument("--database", default="mariadb", choices=["sqlite", "mariadb", "postgresql"])
    parser.add_argument("--providers", type=int, default=10000)
    parser.add_argument("--claims", type=int, default=2000, help="claims in the run with 8 clients")
    parser.add_argument("--repeat", type=int, default=50, help="requests per latency figure")
    parser.add_argument("--version", default="1.39", help="microversion asked for")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    for row in rows(parser.parse_args()):
        figures = "  ".join(f"{name} {value}" for name, value in row.items() if name not in ("name", "target"))
        print(f"{row['name']:<58} {figures:<34} {row.get('target', '')}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
