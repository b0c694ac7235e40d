"""A step fails for good, at the worst moment."""

from nova import errors
from nova.conductor.workflows import WORKFLOWS
from nova.virt.fake.hypervisor import ANY
from tests.functional.every_operation.matrix import every_step, run
from tests.functional.invariants import leftovers
from tests.functional.operation_set_ups import SETUPS, workflow_of


def test_every_operation_has_a_set_up():
    assert set(map(workflow_of, SETUPS)) == set(WORKFLOWS)


@every_step
def test_a_step_that_fails_leaves_nothing_half_done(cloud, user, operation, step):
    def fault():
        # On its host, if it is done there; else after it did what it does, which is the worst moment.
        for name in cloud.hosts:
            cloud.hypervisor(name).fail(ANY)
        cloud.boundary.raise_at(workflow_of(operation), step.name, "done", errors.StepFailed(reason="it broke"))

    outcome = run(cloud, user, operation, fault)

    assert outcome in SETUPS[operation].ends_in
    assert leftovers(cloud) == []
