"""Every action is declared, described, and what it takes is in the model."""

import sys
from pathlib import Path

import pytest

from nova.api.ec2 import ACTIONS, errors
from nova.api.ec2.listing import matcher
from nova.api.ec2.model import model
from nova.policies import compute as policies

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import ec2_actions
import ec2_model


def test_the_model_has_the_actions_that_are_declared():
    assert sorted(model().operations) == sorted(ACTIONS) == sorted(ec2_model.ACTIONS.split())


def test_the_model_is_the_one_that_its_tool_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(ec2_model, "TABLE", tmp_path / "model.json")

    ec2_model.main()

    assert (tmp_path / "model.json").read_text() == (ROOT / "nova/api/ec2/model.json").read_text()


def test_the_page_has_the_table_of_the_declarations():
    page = (ROOT / "doc/ec2.md").read_text()

    assert ec2_actions.with_table(page) == page, "run tools/ec2_actions.py"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_what_an_action_declares_exists(name):
    action = ACTIONS[name]
    taken, answered = model().operations[name]
    rules = {rule.name for rule in policies.list_rules()}

    assert set(action.policy) <= rules
    for path in (*action.takes, *action.holds, *([action.lists.ids] if action.lists and action.lists.ids else [])):
        assert is_in_model(taken, path.split(".")), path
    if action.lists is not None:
        assert action.lists.key in model().shapes[answered].members
    for required in model().shapes[taken].required:
        assert action._takes(required), f"{required} is required and not honoured"


def is_in_model(shape, parts):
    found = model().shapes[shape]
    if found.kind == "list":
        return is_in_model(found.item, parts)
    if not parts:
        return True
    return parts[0] in found.members and is_in_model(found.members[parts[0]].shape, parts[1:])


def test_what_is_not_honoured_is_refused():
    run = ACTIONS["RunInstances"]

    run.check({"EbsOptimized": False, "BlockDeviceMappings": [{"Ebs": {"VolumeSize": 1}}]})
    for given in ({"EbsOptimized": True}, {"BlockDeviceMappings": [{"Ebs": {"Iops": 1}}]}, {"CpuOptions": {}}):
        with pytest.raises(errors.BadRequest) as caught:
            run.check(given)
        assert errors.code_of(caught.value) == "Unsupported"


@pytest.mark.parametrize(
    ("value", "text", "matches"),
    [
        ("web", "web", True),
        ("web", "webs", False),
        ("w*", "w", True),
        ("*", "a\nb", True),
        ("w?b", "wéb", True),
        ("w?b", "wb", False),
        (r"w\*b", "w*b", True),
        (r"w\*b", "wxb", False),
        (r"w\?", "w?", True),
        ("a.b", "axb", False),
        ("a.*", "a.b(", True),
        ("[a]*", "[a]", True),
        ("\\", "\\", True),
        ("*\U0001f600", "x\U0001f600", True),
    ],
)
def test_filters_match_as_they_say(value, text, matches):
    assert matcher([value])(text) is matches
