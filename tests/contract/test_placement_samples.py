"""Replays the contract's Placement samples: every request is taken, every answer has the shape of its sample.

A sample of the version "base" is one of some version before the next of its name: it has to hold at one of
them. Each case has an empty Placement of its own, in which what the sample names is made first.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nova.placement.api.wsgi import MAX_MINOR
from tests.contract.conftest import find_contract, parametrize
from tests.contract.placement_fixtures import Cloud

CLOUD = Cloud()
_METHODS = {"get": "GET", "create": "POST", "manage": "POST", "post": "POST", "update": "PUT", "put": "PUT"}
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
# Keys that are data: uuids, resource classes, and the suffixes of granular requests.
_DATA = re.compile(r"^([0-9a-f]{8}-.*|[A-Z][A-Z0-9_]*|_.*|)$")
_PROJECT, _USER = "131d4efb-abc0-4872-9b92-8c8b9dc4320f", "81c516e3-5e0e-4dcb-9a38-4473d229a950"
_PARENT, _PROVIDER, _CONSUMER = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
_CLASSES = ("VCPU", "MEMORY_MB", "DISK_GB")


@dataclass(frozen=True)
class Case:
    """A request, an answer or both, of one operation, at one of some minor versions."""

    operation: dict[str, Any]
    versions: tuple[int, ...]
    request: Any
    response: Any
    names: tuple[str, ...]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    directory = find_contract(metafunc.config) / "placement"
    cases: list[Any] = []
    if (directory / "samples_index.json").is_file():
        cases = [
            pytest.param(one, id=f"{one.operation['method']} {one.operation['path']} {' '.join(one.names)}")
            for one in _read(directory)
        ]
    parametrize(metafunc, ("case",), cases, f"samples under {directory}")


def _read(directory: Path) -> Iterator[Case]:
    operations = json.loads((directory / "operations.json").read_text())["operations"]
    groups = json.loads((directory / "samples_index.json").read_text())["groups"]
    marks: dict[str, list[int]] = {}
    for group in groups:
        for path in group["files"]:
            marks.setdefault(_plain(path), []).append(_minor(group["microversion"]) or 0)
    for group in groups:
        content = {path: json.loads((directory / "samples" / path).read_text()) for path in group["files"]}
        requests = {path for path in content if "request" in path or path.startswith("reshaper/")}
        used = set()
        for path in [*sorted(requests), *sorted(content.keys() - requests)]:
            if path in used:
                continue
            operation = _operation(operations, path)
            answer = path
            if path in requests:
                stem = _plain(path).replace("-request", "").replace("classes", "class").replace("providers", "provider")
                answer = next((one for one in content if one not in requests and _plain(one) == stem), "")
            used |= {path, answer}
            versions = _versions(operation, _minor(group["microversion"]), marks[_plain(path)])
            request = content[path] if path in requests else None
            yield Case(
                operation, versions, request, content.get(answer), tuple(filter(None, dict.fromkeys((path, answer))))
            )


def _plain(path: str) -> str:
    """The name without its version."""
    return re.sub(r"-\d+\.\d+$", "", Path(path).stem)


def _minor(version: str | None) -> int | None:
    return int(version.partition(".")[2]) if version and "." in version else None


def _versions(operation: dict[str, Any], minor: int | None, marks: list[int]) -> tuple[int, ...]:
    if minor is not None:
        return (minor,)
    later = [one for one in marks if one]
    last = _minor(operation["max_version"])
    first, end = _minor(operation["min_version"]) or 0, min(later, default=MAX_MINOR + 1)
    return tuple(reversed(range(first, min(end, (MAX_MINOR if last is None else last) + 1))))


def _operation(operations: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """The operation the contract names for the sample, or for one of the same name; else by the words of it."""
    for same in (lambda one: one == path, lambda one: _plain(one) == _plain(path)):
        for operation in operations:
            if any(same(one) for one in operation["request_samples"] + operation["response_samples"]):
                return operation
    verb, *words = re.split("[-_/]", _plain(path).replace("-request", ""))
    wanted = {*words, *re.split("_", path.split("/")[0])}

    def likeness(operation: dict[str, Any]) -> tuple[int, int]:
        ids = set(re.split("[._-]", operation["id"]))
        both = {re.sub("ies$|y$|es$|s$", "", word) for word in wanted}
        known = {re.sub("ies$|y$|es$|s$", "", word) for word in ids}
        is_one = words and not words[-1].endswith("s")
        names_one = operation["path"].endswith("}")
        return len(both & known) * 2 + (is_one == names_one), -len(known)

    return max((one for one in operations if one["method"] == _METHODS[verb]), key=likeness)


class Placement:
    """An empty Placement, and what a sample needs to be there."""

    def __init__(self) -> None:
        CLOUD.open({"api": {"auth_strategy": "noauth2"}}, False)
        self._http = CLOUD.client()

    def ask(self, method: str, path: str, body: Any = None, minor: int = 36) -> Any:
        # Reshaping is for services.
        headers = {"openstack-api-version": f"placement 1.{minor}", "x-roles": "admin,service"}
        return self._http.request(method, path, json=body, headers=headers)

    def do(self, *args: Any, **options: Any) -> Any:
        answer = self.ask(*args, **options)
        assert answer.is_success, f"{args}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def prepare(self, sample: Any) -> None:
        """A provider with everything, a consumer of it, and whatever the sample names."""
        for name in sorted(set(_texts(sample))):
            if name.startswith("CUSTOM_"):
                self.do("PUT", f"/traits/{name}")
        self.provider(_PARENT)
        self.provider(_PROVIDER, _PARENT)
        self.do("PUT", "/traits/CUSTOM_FOO")
        for uuid in (_PARENT, _PROVIDER):
            traits = {"traits": ["CUSTOM_FOO"], "resource_provider_generation": self.of(uuid)}
            self.do("PUT", f"/resource_providers/{uuid}/traits", traits)
        self.do("PUT", f"/resource_providers/{_PROVIDER}/aggregates", [_PARENT], minor=18)
        self.consume(_CONSUMER)
        for uuid in _providers(sample):
            self.provider(uuid)
        for uuid in _consumers(sample):
            self.consume(uuid)

    def provider(self, uuid: str, parent: str | None = None) -> None:
        if self.ask("GET", f"/resource_providers/{uuid}").status_code == 404:
            self.do("POST", "/resource_providers", {"name": uuid, "uuid": uuid, "parent_provider_uuid": parent})
            inventories = {name: {"total": 100000} for name in _CLASSES}
            body = {"inventories": inventories, "resource_provider_generation": 0}
            self.do("PUT", f"/resource_providers/{uuid}/inventories", body)

    def consume(self, uuid: str) -> None:
        resources = {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 5}
        wanted = {"allocations": {_PROVIDER: {"resources": resources}}, "project_id": _PROJECT, "user_id": _USER}
        self.do("PUT", f"/allocations/{uuid}", {**wanted, "consumer_generation": None})

    def of(self, provider: str) -> int:
        return self.do("GET", f"/resource_providers/{provider}")["generation"]

    def current(self, value: Any, key: str = "") -> Any:
        """A request with the generations of now."""
        if isinstance(value, list):
            return [self.current(one) for one in value]
        if not isinstance(value, dict):
            return value
        found = {name: self.current(inner, name) for name, inner in value.items()}
        if "consumer_generation" in found:
            held = self.ask("GET", f"/allocations/{key or _CONSUMER}", minor=28).json()
            found["consumer_generation"] = held.get("consumer_generation")
        if "resource_provider_generation" in found:
            found["resource_provider_generation"] = self.of(key or _PROVIDER)
        return found


def _texts(value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else ():
        yield from [one] if isinstance(one, str) else _texts(one)


def _providers(value: Any) -> Iterator[str]:
    """Providers a request allocates from, gives inventories or puts others below."""
    if isinstance(value, dict):
        if _UUID.match(str(value.get("parent_provider_uuid"))):
            yield value["parent_provider_uuid"]
        if isinstance(value.get("resource_provider"), dict):
            yield value["resource_provider"]["uuid"]
        for name, inner in value.items():
            is_one = isinstance(inner, dict) and inner.keys() & {"resources", "inventories"}
            yield from [name] if is_one and _UUID.match(name) else ()
            yield from _providers(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _providers(one)


def _consumers(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            is_one = isinstance(inner, dict) and "allocations" in inner
            yield from [name] if is_one and _UUID.match(name) else _consumers(inner)


def test_the_sample_is_taken_and_the_answer_has_its_shape(case: Case) -> None:
    said = []
    for minor in case.versions:
        complaints = _replay(case, minor)
        if not complaints:
            return
        said += [f"1.{minor}: {text}" for text in complaints]

    pytest.fail("\n".join(said[:20]))


def _replay(case: Case, minor: int) -> list[str]:
    placement = Placement()
    placement.prepare(case.request)
    method, path = case.operation["method"], case.operation["path"]
    name = case.request.get("name", "") if isinstance(case.request, dict) else ""
    if "/resource_classes/" in path:
        placement.do("PUT", "/resource_classes/CUSTOM_CHIP")
    if name.startswith("CUSTOM_") and method == "PUT":
        placement.ask("DELETE", f"/traits/{name}")
    values = {"uuid": _PROVIDER, "consumer_uuid": _CONSUMER, "resource_class": "VCPU"}
    values["name"] = "CUSTOM_FOO" if "/traits/" in path else "CUSTOM_CHIP"
    for key, value in values.items():
        path = path.replace(f"{{{key}}}", value)
    if method == "POST" and path.endswith("/inventories"):
        placement.do("DELETE", f"/resource_providers/{_PROVIDER}/inventories/VCPU")
    queries = {"/usages": f"?project_id={_PROJECT}", "/allocation_candidates": _candidates(minor)}
    answer = placement.ask(method, path + queries.get(path, ""), placement.current(case.request), minor)
    if answer.status_code not in case.operation["normal_codes"]:
        return [f"{answer.status_code} {answer.text}"]
    if case.response is None:
        return []
    return list(_differences(case.response, answer.json()))


def _candidates(minor: int) -> str:
    return "?resources=VCPU:1,MEMORY_MB:64" + ("&resources_DISK=DISK_GB:1&group_policy=none" if minor >= 33 else "")


def _differences(sample: Any, answer: Any, path: str = "$") -> Iterator[str]:
    if isinstance(sample, dict) and isinstance(answer, dict):
        if all(map(_DATA.match, [*sample, *answer])):
            for one in answer.values() if sample else ():
                yield from _like_one(list(sample.values()), one, f"{path}.{{}}")
            return
        for name in sorted(sample.keys() ^ answer.keys()):
            yield f"{path}.{name} is {'missing' if name in sample else 'not in the sample'}"
        for name in sample.keys() & answer.keys():
            yield from _differences(sample[name], answer[name], f"{path}.{name}")
    elif isinstance(sample, list) and isinstance(answer, list):
        if sample and not answer:
            yield f"{path} is empty, in the sample it is not"
        for one in answer if sample else ():
            yield from _like_one(sample, one, f"{path}[]")
    elif type(sample) is not type(answer) and not {type(sample), type(answer)} <= {int, float}:
        yield f"{path} is {type(answer).__name__}, in the sample {type(sample).__name__}"


def _like_one(samples: list[Any], answer: Any, path: str) -> Iterator[str]:
    found = [list(_differences(like, answer, path)) for like in samples]
    yield from found[0] if all(found) else ()
