"""Replays every request sample of the contract, and reads every answer it has a sample of, in a running cloud.

Answers are compared by shape, at the sample's microversion: keys and JSON types, with the sample first and
then with the contract's field table. What is not had here stands in the tables below, by operation; a run
ends with the samples that were concerned, and why.
"""

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from compute_bodies import smallest
from compute_declared import Key, declared
from compute_samples import Case, Reader, Sample, Unmatched
from compute_scenes import PROJECT, Scene, World, fill, scene_of
from compute_shapes import differences, misfits

from tests.contract.conftest import NOT_REPLAYED, find_contract, parametrize

# Operations that answer something else here than their samples show: the documented code, and why.
_NO_IRONIC = "there is no Bare Metal service"
_NO_POWER = "no hypervisor of this release turns its host on and off"
NOT_HERE: dict[Key, tuple[int, str]] = {
    ("GET", "/os-baremetal-nodes", None): (501, _NO_IRONIC),
    ("GET", "/os-baremetal-nodes/{}", None): (501, _NO_IRONIC),
    ("GET", "/os-hosts/{}/reboot", None): (501, _NO_POWER),
    ("GET", "/os-hosts/{}/shutdown", None): (501, _NO_POWER),
    ("GET", "/os-hosts/{}/startup", None): (501, _NO_POWER),
    ("PUT", "/os-hosts/{}", None): (501, "no hypervisor of this release has a maintenance mode"),
    ("POST", "/servers/{}/action", "os-getRDPConsole"): (400, "no hypervisor of this release has an RDP screen"),
}
# Operations that answer so until a version, by the contract's facts of them.
UNTIL: dict[Key, tuple[int, int]] = {("GET", "/os-console-auth-tokens/{}", None): (30, 400)}
# What nobody would give here is refused, not promised.
NOT_PROMISED = "trusted_image_certificates"
# Consoles of other hypervisors than ours, by protocol.
NO_SUCH_CONSOLE = ("rdp", "mks")
# Lists that have nothing in them here, and why.
EMPTY_HERE: dict[tuple[Key, str], str] = {
    (("GET", "/servers/{}/topology", None), "nodes"): "no driver gives a guest NUMA nodes of its own",
}
# Keys that are there or not as the thing shown is just then.
BY_STATE: dict[tuple[Key, str], str] = {
    (("GET", "/os-migrations", None), "migrations[].links"): "only of a live migration under way",
}
_NO_CELLS = "it shows what a cell that cannot be reached leaves to show, and there are no cells"

# What a query is asked with when a sample's name speaks of it.
_VALUES: dict[str, Any] = {
    "limit": "1",
    "detailed": "1",
    "status": "ACTIVE",
    "sort_key": "created_at",
    "user_id": "admin",
    "project_id": PROJECT,
    "changes-since": "2020-01-01T00:00:00Z",
    "changes-before": "2100-01-01T00:00:00Z",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    contract = find_contract(metafunc.config)
    reader = Reader(contract) if (contract / "compute" / "samples_index.json").is_file() else None
    for argument, listed in (("case", _cases), ("operation", _operations)):
        if argument in metafunc.fixturenames:
            cases = listed(reader) if reader is not None else []
            parametrize(metafunc, ("reader", argument), cases, f"samples under {contract}/compute")


def _cases(reader: Reader) -> list[Any]:
    found = []
    for one in reader.cases():
        name = f"no operation: {one.sample.path}" if isinstance(one, Unmatched) else one.name
        found.append(pytest.param(reader, one, id=name))
    return found


def _operations(reader: Reader) -> list[Any]:
    """The operations the contract has answers of, but for those that are not had here."""
    return [
        pytest.param(reader, key, id=" ".join(filter(None, key)))
        for key in sorted(reader.answering(), key=str)
        if key not in NOT_HERE
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    world = World(tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("templates"))
    yield world
    world.stop()


def test_the_answer_has_the_shape_of_its_sample(
    reader: Reader, case: Case | Unmatched, world: World, record_property: Any
) -> None:
    assert isinstance(case, Case), "no operation of the contract has such a request or answer"
    code, reason = _instead(reader, case)
    if reason is not None:
        record_property(NOT_REPLAYED, reason)
    if code is not None:
        assert _ask(reader, world, case, "admin")[0].status_code == code
        return

    answer, complaints = _ask(reader, world, case, "admin")
    assert answer.status_code in reader.success_codes(case), answer.text
    if complaints and reason is None:
        # Some samples show what the server's owner sees.
        complaints = complaints if _ask(reader, world, case, "user")[1] else []

    assert reason is not None or not complaints, "\n".join(complaints)


def test_every_answer_is_what_its_table_says(reader: Reader, operation: Key, world: World) -> None:
    complaints = []
    for version in reader.answering()[operation]:
        case = Case(operation, version, _request(reader, operation, version))
        answer, found = _ask(reader, world, case, "admin")
        last, code = UNTIL.get(operation, (0, 0))
        if version <= last and answer.status_code == code:
            continue
        if answer.status_code not in reader.success_codes(case):
            found = [f"{answer.status_code} {answer.text}"]
        complaints += [f"2.{version}: {text}" for text in found]

    assert not complaints, "\n".join(complaints)


def _request(reader: Reader, key: Key, version: int) -> Sample | None:
    """The newest sample that is a request of this version, else the smallest body there is."""
    for sample in reader.requests_of(key):
        case = Case(key, version, sample)
        if sample.version <= version and _instead(reader, case) == (None, None):
            return sample
    body = next((one.body for one in declared().get(key, ()) if one.holds(version)), None)
    if body is None:
        return None
    body = smallest(body.json_schema(version))
    return Sample("", "", version, body if key[2] is None else {key[2]: body})


def _instead(reader: Reader, case: Case) -> tuple[int | None, str | None]:
    """The code a request is answered with instead of its sample, and why it cannot be had; None for neither."""
    if case.is_gone:
        return 410, None
    if case.key in NOT_HERE:
        return NOT_HERE[case.key]
    last, code = UNTIL.get(case.key, (0, 0))
    if case.version <= last:
        return code, f"it answers so until 2.{last}"
    if reader.refuses(case):
        return 400, "the sample does not pass the checks of its own version"
    asked = case.request.content if case.request is not None else None
    if isinstance(asked, dict) and asked.get("remote_console", {}).get("protocol") in NO_SUCH_CONSOLE:
        return 400, "no hypervisor of this release has such a screen"
    if NOT_PROMISED in str(asked):
        return 400, f"nothing checks {NOT_PROMISED} in this release"
    if case.response is not None and _is_of_a_lost_cell(case.response.content):
        return None, _NO_CELLS
    return None, None


def _is_of_a_lost_cell(content: Any) -> bool:
    """Whether all a sample shows is of the status UNKNOWN."""
    [shown] = content.values() if isinstance(content, dict) and len(content) == 1 else [None]
    listed = [shown] if isinstance(shown, dict) else shown if isinstance(shown, list) else []
    return bool(listed) and all(isinstance(one, dict) and one.get("status") == "UNKNOWN" for one in listed)


def _ask(reader: Reader, world: World, case: Case, user: str) -> tuple[Any, list[str]]:
    """The answer a caller gets, and what is wrong with its shape."""
    scene = Scene(("1",) * 5) if case.is_gone else scene_of(world, case)
    try:
        answer = _send(reader, world, case, scene, user)
    finally:
        if scene.undo is not None:
            scene.undo()
    return answer, _complaints(reader, case, answer) if answer.status_code < 300 else [answer.text]


def _complaints(reader: Reader, case: Case, answer: Any) -> list[str]:
    table = reader.response_table(case.key, case.version)
    content = answer.json() if answer.text else None
    if case.response is None:
        return list(misfits(content, table)) if content is not None else []
    found = list(differences(case.response.content, content, table))
    # Where the sample itself is not what the table says, the sample holds.
    known = set(misfits(case.response.content, table))
    found += [text for text in misfits(content, table) if text not in known]
    return [text for text in found if not _is_excused(case.key, text)]


def _is_excused(key: Key, complaint: str) -> bool:
    path, _, text = complaint.partition(" ")
    if (key, path) in EMPTY_HERE:
        return text.startswith("is empty")
    return (key, path) in BY_STATE and text in ("is missing", "is not in the sample")


def _send(reader: Reader, world: World, case: Case, scene: Scene, user: str) -> Any:
    method, path, action = case.key
    values = iter(scene.path)
    path = re.sub(r"{}", lambda _: quote(next(values, "1"), safe=":."), path)
    client = world.client(case.version, user)
    body = {action: None} if action is not None else None
    if scene.body is not None and (case.request is None or not case.request.path):
        body = scene.body
    elif case.request is not None:
        body = case.request.content if case.is_gone else fill(world, scene, case.request.content)
    # The roots of the service and of its versions are not below the version.
    url = "http://compute" + ("" if case.key[1] in ("/", "/{}") else "/v2.1")
    return client.request(method, path, body, url=url, params=_query(reader, scene, case))


def _query(reader: Reader, scene: Scene, case: Case) -> dict[str, str]:
    """The parameters the names of the samples speak of, and a page when the answer links to the next."""
    names = reader.query_names(case.key, case.version)
    said = {re.sub("s$", "", word) for word in case.raw_words}
    values = {**_VALUES, "marker": scene.marker}
    found = {
        name: value
        for name, value in values.items()
        if value is not None and name in names and _words_of(name) <= said
    }  # fmt: skip
    shown = case.response.content if case.response is not None else None
    if isinstance(shown, dict) and "limit" in names and any(name.endswith("links") for name in shown):
        found["limit"] = "1"
    return {**found, **scene.query}


def _words_of(parameter: str) -> set[str]:
    """detailed is spoken of as detail, user_id as user."""
    return {{"detailed": "detail"}.get(word, word) for word in re.split("[-_]", parameter)} - {"id"}
