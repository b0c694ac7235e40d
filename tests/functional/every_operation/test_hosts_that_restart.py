"""nova-compute is started anew on every host while a step is under way there."""

import threading

from tests.functional.every_operation.matrix import every_step, run
from tests.functional.invariants import leftovers
from tests.functional.operation_set_ups import workflow_of


@every_step
def test_a_host_that_restarts_goes_on_where_it_was(cloud, user, operation, step):
    restarting = threading.Lock()

    def restart():
        with restarting:
            for name in list(cloud.hosts):
                cloud.stop_host(name)
                cloud.start_host(name)

    workflow = workflow_of(operation)
    outcome = run(cloud, user, operation, lambda: cloud.boundary.call_at(workflow, step.name, "ordered", restart))

    with restarting:
        assert outcome != "ERROR"
        assert leftovers(cloud) == []
