"""The bus loses what a conductor orders, or what a host answers."""

import pytest

from nova import concurrency
from nova.rpc.local import bus_of
from tests.functional.every_operation.matrix import every_step, run
from tests.functional.invariants import leftovers
from tests.functional.operation_set_ups import workflow_of


@pytest.fixture(autouse=True)
def hearts_beat(cloud):
    """With each sign of life a host asks for what it has not heard of, and answers what it has done: let them come fast."""
    beating = concurrency.Periodic(0.2, cloud.beat, "sign of life")
    yield
    beating.stop()


@every_step
def test_a_lost_order_is_asked_for_again(cloud, user, operation, step):
    def fault():
        for name in cloud.hosts:
            bus_of(f"local:///{cloud.name}").lose(f"compute.{cloud.hypervisor(name).name}")

    outcome = run(cloud, user, operation, fault)

    assert outcome != "ERROR"
    assert leftovers(cloud) == []


@every_step
def test_a_lost_answer_is_given_again(cloud, user, operation, step):
    def fault():
        lose = bus_of(f"local:///{cloud.name}").lose
        cloud.boundary.call_at(
            workflow_of(operation), step.name, "ordered", lambda: lose("conductor", call="step_answered")
        )

    outcome = run(cloud, user, operation, fault)

    assert outcome != "ERROR"
    assert leftovers(cloud) == []
