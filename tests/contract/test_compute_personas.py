"""Who may do what: every declared operation, asked for by every persona, against the contract's policies."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from oslo_policy import _parser

sys.path.insert(0, str(Path(__file__).parent))

from compute_bodies import smallest
from compute_declared import declared, ends

from nova.http.declaration import LATER, SERVER, USER, Endpoint
from tests.functional.cloud import Cloud, make_templates

# Name to (user, project, roles, further headers). The project is the server's own but for two of them.
# Those who may least come first: what they ask for must still be there.
PERSONAS: dict[str, tuple[str, str, tuple[str, ...] | None, dict[str, str]]] = {
    "nobody": ("", "", None, {}),
    "other project": ("stranger", "strange", ("manager", "member", "reader"), {}),
    "reader": ("reader", "project", ("reader",), {}),
    "service": ("nova", "services", ("service",), {}),
    "system admin": ("root", "project", ("admin", "member", "reader"), {"OpenStack-System-Scope": "all"}),
    "member": ("user", "project", ("member", "reader"), {}),
    "manager": ("manager", "project", ("manager", "member", "reader"), {}),
    "project admin": ("boss", "elsewhere", ("admin", "manager", "member", "reader"), {}),
}

# Rules a handler asks about a thing this test does not make; what it finds missing comes first.
_NEEDS_A_THING = re.compile(r"\{(group_id|token|request_id)\}")


def _cases() -> list[Any]:
    cases = []
    for key, operations in sorted(declared().items(), key=str):
        for one in operations:
            if not one.is_gone and one.policy is not None and not _NEEDS_A_THING.search(one.path):
                cases.append(pytest.param(one, id=" ".join(filter(None, key)) + f" 2.{ends(one)[1]}"))
    return cases


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), make_templates(tmp_path_factory.mktemp("templates")))
    cloud.start()
    cloud.glance.add("tiny")
    flavor = {"name": "m1.tiny", "ram": 512, "vcpus": 1, "disk": 1, "id": "m1.tiny"}
    cloud.client("admin", "admin").post("/flavors", {"flavor": flavor})
    yield cloud
    cloud.stop()


@pytest.fixture(autouse=True)
def _server(world: Any) -> None:
    # Asking for a quota's deletion deletes it.
    unlimited = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    world.client("admin", "admin").put("/os-quota-sets/project", unlimited)
    # No host builds it: what is done to it fails by its state, which is enough here.
    world.server_id = world.client().create_server(wait_for=None)["id"]


@pytest.fixture(scope="module")
def rules(contract_dir: Path) -> dict[str, Any]:
    found = json.loads((contract_dir / "policies.json").read_text())["nova"]
    listed = found["rules"] if isinstance(found, dict) else found
    return {one["name"]: _parser.parse_rule(one["expanded"]) for one in listed}


@pytest.mark.parametrize("operation", _cases())
def test_each_persona_is_let_in_or_kept_out(operation: Endpoint, world: Any, rules: dict[str, Any]) -> None:
    check = rules.get(operation.policy)
    if check is None:
        assert operation.is_ours, f"{operation.policy} is no rule of the contract"
        return

    wrong = {}
    for name, persona in PERSONAS.items():
        status = _ask(world, operation, persona)
        expected = _expected(operation, name, persona, check)
        if not (status == expected if expected is not None else status not in (401, 403)):
            wrong[name] = (status, expected)

    assert wrong == {}


def _expected(operation: Endpoint, name: str, persona: Any, check: Any) -> int | None:
    """The status a persona must get; None for any but 401 and 403."""
    user, project, roles, _ = persona
    if name == "nobody":
        return 401
    is_admin = "admin" in roles
    if operation.target == SERVER and project != "project" and not is_admin:
        return 404
    if name == "system admin":
        return 403
    target = {"project_id": "project" if operation.target in (SERVER, LATER) else project, "user_id": user}
    if operation.target == LATER and "{server_id}" in operation.path and project != "project" and not is_admin:
        return 404
    if operation.target == LATER and "{" not in operation.path:
        target["project_id"] = project
    assert operation.target != USER or target["user_id"] == user
    credentials = {"roles": list(roles), "project_id": project, "user_id": user, "is_admin": is_admin}
    return None if check(target, credentials, None) else 403


def _ask(world: Any, operation: Endpoint, persona: Any) -> int:
    user, project, roles, headers = persona
    path = operation.path
    for name, value in (("server_id", world.server_id), ("project_id", "project")):
        path = path.replace(f"{{{name}}}", value)
    path = re.sub(r"\{\w+\}", "00000000-0000-4000-8000-000000000000", path)
    _, version = ends(operation)
    client = world.client(user, project, f"2.{version}", roles)
    if not user:
        client.headers.pop("X-Auth-Token")
    body = None
    if operation.body is not None or operation.action is not None:
        content = smallest(operation.body.json_schema(version)) if operation.body is not None else None
        body = content if operation.action is None else {operation.action: content}
    if path.endswith("/events"):
        path += "?timeout=0"
    return client.request(operation.method, path, body, headers=headers).status_code
