"""Replays every request sample of the contract, and reads every answer it has a sample of, in a running cloud.

Answers are compared by shape, at the sample's microversion: keys and JSON types. What cannot be replayed
stands in NOT_HERE by operation, with the code it answers instead and the reason.
"""

import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from compute_declared import Key
from compute_samples import Case, Reader, Unmatched
from compute_scenes import PROJECT, CannotStand, Scene, World, fill, scene_of
from compute_shapes import differences, misfits
from conftest import find_contract
from test_compute_declared import NOT_BUILT

# Operations that answer something else here than their samples show: the code, and why.
_NO_IRONIC = "there is no Bare Metal service"
_NO_POWER = "no hypervisor of this release turns its host on and off"
NOT_HERE: dict[Key, tuple[int, str]] = {
    ("GET", "/os-baremetal-nodes", None): (501, _NO_IRONIC),
    ("GET", "/os-baremetal-nodes/{}", None): (501, _NO_IRONIC),
    ("GET", "/os-hosts/{}/reboot", None): (501, _NO_POWER),
    ("GET", "/os-hosts/{}/shutdown", None): (501, _NO_POWER),
    ("GET", "/os-hosts/{}/startup", None): (501, _NO_POWER),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    contract = find_contract(metafunc.config)
    cases: list[Any] = []
    if (contract / "compute" / "samples_index.json").is_file():
        reader = Reader(contract)
        for one in reader.cases():
            name = f"no operation: {one.sample.path}" if isinstance(one, Unmatched) else one.name
            cases.append(pytest.param(reader, one, id=name))
    if not cases:
        reason = f"no samples under {contract}/compute: give --contract-dir or CONTRACT_DIR"
        cases = [pytest.param(None, None, id="no contract data", marks=pytest.mark.skip(reason=reason))]
    metafunc.parametrize(("reader", "case"), cases)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    world = World(tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("templates"))
    yield world
    world.stop()


def test_the_answer_has_the_shape_of_its_sample(reader: Reader, case: Case | Unmatched, world: World) -> None:
    assert isinstance(case, Case), "no operation of the contract has such a request or answer"
    if case.is_gone:
        assert _send(reader, world, case, Scene(path=("1",) * 5), "admin").status_code == 410
        return
    if case.key[1] in NOT_BUILT:
        pytest.skip("not built yet; doc/api.md says so")
    try:
        scene = scene_of(world, case)
    except CannotStand as reason:
        pytest.skip(str(reason))
    try:
        _replay(reader, world, case, scene)
    finally:
        if scene.undo is not None:
            scene.undo()


def _replay(reader: Reader, world: World, case: Case, scene: Scene) -> None:
    if case.key in NOT_HERE:
        assert _send(reader, world, case, scene, "admin").status_code == NOT_HERE[case.key][0]
        return
    if reader.refuses(case):
        assert _send(reader, world, case, scene, "admin").status_code == 400
        return
    answer = _send(reader, world, case, scene, "admin")
    assert answer.status_code in reader.success_codes(case), answer.text
    complaints = _complaints(reader, case, answer)
    if complaints and case.key[0] == "GET":
        # Some samples show what the server's owner sees.
        as_owner = _complaints(reader, case, _send(reader, world, case, scene, "user"))
        complaints = complaints if as_owner else []
    assert complaints == []


def _complaints(reader: Reader, case: Case, answer: Any) -> list[str]:
    table = reader.response_table(case.key, case.version)
    content = answer.json() if answer.text else None
    if case.response is None:
        return list(misfits(content, table)) if content is not None else []
    found = list(differences(case.response.content, content, table))
    # Where the sample itself is not what the table says, the sample holds.
    known = set(misfits(case.response.content, table))
    return found + [text for text in misfits(content, table) if text not in known]


def _send(reader: Reader, world: World, case: Case, scene: Scene, user: str) -> Any:
    method, path, action = case.key
    values = iter(scene.path)
    path = re.sub(r"{}", lambda _: quote(next(values, "1"), safe=":."), path)
    client = world.client(case.version, user)
    body = None
    if case.request is not None:
        body = case.request.content if case.is_gone else fill(world, scene, case.request.content)
    elif action is not None:
        body = {action: None}
    url = "http://compute" + ("" if path in ("/", "/v2.1") else "/v2.1")
    return client.request(method, path, body, url=url, params=_query(reader.query_names(case.key, case.version), scene, case))


def _query(names: set[str], scene: Scene, case: Case) -> dict[str, str]:
    """The parameters the names of the samples speak of, and a page when the answer links to the next."""
    said = {re.sub("s$", "", word) for word in case.raw_words}
    values = {**_VALUES, "marker": scene.marker}
    found = {
        name: value
        for name, value in values.items()
        if value is not None and name in names and _words_of(name) <= said
    }
    shown = case.response.content if case.response is not None else None
    if isinstance(shown, dict) and "limit" in names and any(name.endswith("links") for name in shown):
        found["limit"] = "1"
    return {**found, **scene.query}


def _words_of(parameter: str) -> set[str]:
    """detailed is spoken of as detail, user_id as user."""
    return {{"detailed": "detail"}.get(word, word) for word in re.split("[-_]", parameter)} - {"id"}


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
