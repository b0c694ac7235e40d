"""The server is deleted while a step is under way."""

from tests.functional.every_operation.matrix import every_step, run, server_of
from tests.functional.invariants import leftovers, settle
from tests.functional.operation_set_ups import workflow_of


@every_step
def test_a_delete_overtakes_whatever_is_under_way(cloud, user, operation, step):
    asked = []

    def delete():
        server_id = server_of(cloud)
        asked.append(user.delete(f"/servers/{server_id}").status_code)

    workflow = workflow_of(operation)
    run(cloud, user, operation, lambda: cloud.boundary.call_at(workflow, step.name, "done", delete))
    if not asked:
        # The step is done on a host: the conductor has nothing in hand at that moment.
        assert user.delete(f"/servers/{server_of(cloud)}").status_code in (204, 404) if server_of(cloud) else True
    settle(cloud)
    if operation in ("softDelete", "restore") and server_of(cloud):
        # Where deleted servers are kept for a while, the first request only says that this one shall go.
        user.act(server_of(cloud), "forceDelete")
        settle(cloud)

    assert server_of(cloud) is None
    assert leftovers(cloud) == []
