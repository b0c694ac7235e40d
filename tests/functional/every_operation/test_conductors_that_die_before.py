"""A conductor dies before the commit of a step."""

import pytest

from tests.functional.every_operation.matrix import check_that_nothing_is_lost, every_step


@pytest.mark.parametrize("moment", ["leased", "done"])
@every_step
def test_a_conductor_that_dies_loses_nothing(cloud, user, operation, step, moment):
    check_that_nothing_is_lost(cloud, user, operation, step, moment)
