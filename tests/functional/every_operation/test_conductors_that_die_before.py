"""A conductor dies before the commit of a step."""

import pytest

from tests.functional.every_operation.matrix import every_step, kill_conductor, run
from tests.functional.invariants import leftovers
from tests.functional.operation_set_ups import SETUPS


@pytest.mark.parametrize("moment", ["leased", "done"])
@every_step
def test_a_conductor_that_dies_loses_nothing(cloud, user, operation, step, moment):
    outcome = run(cloud, user, operation, lambda: kill_conductor(cloud, operation, step, moment))

    assert outcome in SETUPS[operation].ends_in
    assert outcome != "ERROR"
    assert leftovers(cloud) == []
