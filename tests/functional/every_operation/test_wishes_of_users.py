"""What a user says of a volume while an operation is under way counts when that is over."""

from tests.functional.every_operation.matrix import every_step, run, server_of
from tests.functional.invariants import leftovers
from tests.functional.operation_set_ups import workflow_of


def attachments(user, server_id):
    return user.get(f"/servers/{server_id}/os-volume_attachments").json()["volumeAttachments"]


@every_step
def test_a_volume_becomes_of_a_server_that_goes_what_its_user_said_last(cloud, user, operation, step):
    wishes = {}

    def wish():
        server_id = server_of(cloud)
        for attached in attachments(user, server_id) if server_id else []:
            volume_id, wished = attached["volumeId"], not attached["delete_on_termination"]
            body = {"volumeAttachment": {"volumeId": volume_id, "delete_on_termination": wished}}
            path = f"/servers/{server_id}/os-volume_attachments/{volume_id}"
            if user.put(path, body).status_code == 202:
                wishes[volume_id] = wished

    run(cloud, user, operation, lambda: cloud.boundary.call_at(workflow_of(operation), step.name, "committed", wish))

    # After the last step the operation is over, and a wish may come while this is read.
    wished_before = dict(wishes)
    server_id = server_of(cloud)
    found = {one["volumeId"]: one["delete_on_termination"] for one in attachments(user, server_id)} if server_id else {}
    assert found == found | {volume_id: wished for volume_id, wished in wished_before.items() if volume_id in found}
    assert leftovers(cloud) == []
