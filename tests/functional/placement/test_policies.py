"""Every rule of the policy contract, with every persona: who may do what."""

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from nova.placement.api.operations import all_operations
from nova.policies.placement import list_rules
from tests.contract.conftest import find_contract
from tests.functional.placement.cloud import Placement

PROJECT = "5f2d1c6e1f0a4b5f8f5d4c3b2a190817"
PERSONAS: dict[str, dict[str, str]] = {
    "admin": {"X-Roles": "admin,member,reader", "X-Project-Id": "ops"},
    "service": {"X-Roles": "service", "X-Project-Id": "services"},
    "project member": {"X-Roles": "member,reader", "X-Project-Id": PROJECT},
    "project reader": {"X-Roles": "reader", "X-Project-Id": PROJECT},
    "reader of another project": {"X-Roles": "reader", "X-Project-Id": "other"},
    "system admin": {"X-Roles": "admin,member,reader", "OpenStack-System-Scope": "all"},
    "no role": {"X-Roles": "", "X-Project-Id": PROJECT},
}
# Who may, by the base rule that an operation's rule refers to.
ALLOWED = {
    "rule:admin_or_service_api": {"admin", "service"},
    "rule:admin_or_project_reader_or_service_api": {"admin", "service", "project member", "project reader"},
    "rule:service_api": {"service"},
    "rule:admin_api": {"admin"},
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, empty_sqlite: Path) -> Placement:
    """A Placement that applies today's defaults and no deprecated ones. Nothing in it is changed."""
    settings = "[oslo_policy]\nenforce_new_defaults = true\n"
    return Placement(tmp_path_factory.mktemp("policies"), f"sqlite:///{empty_sqlite}", settings)


def operations() -> list[tuple[str, str, str, str]]:
    """Rule, its check, method and path of each operation that a rule guards."""
    return [
        (rule.name, rule.check_str, operation["method"], operation["path"])
        for rule in list_rules()
        for operation in getattr(rule, "operations", ())
    ]


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize(("rule", "check", "method", "path"), operations())
def test_persona_may_do_what_its_rule_says(
    strict: Placement, rule: str, check: str, method: str, path: str, persona: str
) -> None:
    path = re.sub(r"\{.*?\}", str(uuid.uuid4()), path)
    if path == "/usages":
        path += f"?project_id={PROJECT}"

    answer = strict.call(method, path, headers={"X-Auth-Token": "someone", **PERSONAS[persona]})

    # What is allowed may still fail, for the request is an empty one; what is not says 403.
    assert (answer.status != 403) == (persona in ALLOWED[check])
    assert answer.status < 500


@pytest.mark.parametrize(("rule", "check", "method", "path"), operations())
def test_nobody_is_told_to_log_in(strict: Placement, rule: str, check: str, method: str, path: str) -> None:
    answer = strict.call(method, path, headers={"X-Auth-Token": ""})

    assert answer.status == 401


def test_every_operation_has_a_rule_and_every_rule_an_operation() -> None:
    guarded = {(rule, method, re.sub(r"\{.*?\}", "{}", path)) for rule, _, method, path in operations()}
    served = {(operation.rule, method, path) for method, path, operation in all_operations() if operation.rule}

    assert served == guarded


def test_rules_are_those_of_the_contract(pytestconfig: pytest.Config) -> None:
    contract = find_contract_or_skip(pytestconfig)
    expected = {rule["name"]: rule for rule in contract["placement"]}
    ours = {rule.name: rule for rule in list_rules()}

    assert ours.keys() - expected.keys() == {"placement:allocation_candidates:explain"}
    assert expected.keys() <= ours.keys()
    for name, rule in expected.items():
        assert ours[name].check_str == rule["check_str"], name
        assert ours[name].scope_types == rule.get("scope_types"), name
        deprecated = ours[name].deprecated_rule
        assert (deprecated.check_str if deprecated else None) == rule.get("deprecated_rule", {}).get("check_str"), name


def find_contract_or_skip(config: pytest.Config) -> dict[str, Any]:
    path = find_contract(config) / "policies.json"
    if not path.is_file():
        pytest.skip(f"no contract data at {path}")
    return json.loads(path.read_text())


def test_policy_file_of_the_operator_wins(tmp_path: Path, placement: Placement) -> None:
    policy = tmp_path / "rules-of-the-operator.yaml"
    policy.write_text('"placement:traits:list": "role:reader"\n')
    opened = placement.colleague(f"[oslo_policy]\npolicy_file = {policy}\n")
    reader = {"X-Auth-Token": "someone", "X-Roles": "reader"}

    assert placement.call("GET", "/traits", headers=reader).status == 403
    assert opened.call("GET", "/traits", headers=reader).status == 200
    assert opened.call("GET", "/resource_classes", headers=reader).status == 403


def test_administrators_of_old_keep_their_rights_until_new_defaults_are_asked_for(placement: Placement) -> None:
    lenient = placement.colleague("[oslo_policy]\nenforce_new_defaults = false\n")
    strict = placement.colleague("[oslo_policy]\nenforce_new_defaults = true\n")
    admin = {"X-Auth-Token": "someone", "X-Roles": "admin"}

    assert lenient.call("POST", "/reshaper", {}, headers=admin).status == 400
    assert strict.call("POST", "/reshaper", {}, headers=admin).status == 403
