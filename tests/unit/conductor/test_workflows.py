"""What every workflow promises by its declaration."""

import re
from pathlib import Path

import pytest

from nova.conductor.engine.operation import from_the_start, nothing_to_undo
from nova.conductor.workflows import WORKFLOWS

PAGE = Path(__file__).parents[3] / "doc" / "operations.md"


@pytest.fixture(params=WORKFLOWS.values(), ids=WORKFLOWS)
def workflow(request):
    return request.param


def test_a_step_is_found_by_its_name_and_by_the_index_of_older_releases(workflow):
    assert [workflow.step(step.name) for step in workflow.steps] == list(workflow.steps)
    assert [workflow.step(str(index)).name for index in range(len(workflow.steps))] == list(
        workflow.indexed or (step.name for step in workflow.steps)
    )
    assert len({step.name for step in workflow.steps}) == len(workflow.steps)


def test_a_step_that_this_release_does_not_have_is_unknown(workflow):
    with pytest.raises(KeyError):
        workflow.step("a step of another release")
    with pytest.raises(KeyError):
        workflow.step(str(len(workflow.steps)))


def test_the_point_of_no_return_is_a_step_and_nothing_behind_it_is_undone(workflow):
    if workflow.no_return_after not in (None, from_the_start):
        assert workflow.no_return_after in [step.do for step in workflow.steps]

    behind = [step for step in workflow.steps if workflow.is_behind_return(step)]

    assert [step.undo for step in behind] == [nothing_to_undo] * len(behind)


def section(title):
    return PAGE.read_text().split(f"## {title}")[1].split("\n## ")[0]


def test_what_is_left_for_later_is_told_to_operators():
    rows = re.findall(r"^\| ([\w, -]+) \|", section("What is left for later"), re.M)
    told = {name for row in rows for name in row.split(", ")} - {"Operation"}

    assert told == {name for name, workflow in WORKFLOWS.items() if workflow.finishes_later}


def test_what_a_step_can_do_without_comes_before_it_behind_the_point(workflow):
    for step in workflow.steps:
        for name in step.able_without:
            other = workflow.step(name)
            assert workflow.is_behind_return(other)
            assert workflow.steps.index(other) < workflow.steps.index(step)
        assert not step.can_wait or workflow.is_behind_return(step)


def test_the_points_of_no_return_are_told_to_operators():
    told = dict(re.findall(r"^\| ([\w-]+) \| `?([\w ]+)`? \|", section("Where nothing can be undone"), re.M))
    points = {
        name: "from the start" if workflow.no_return_after is from_the_start else workflow.no_return_after.__name__
        for name, workflow in WORKFLOWS.items()
        if workflow.no_return_after is not None
    }

    del told["Operation"]
    assert told == points
