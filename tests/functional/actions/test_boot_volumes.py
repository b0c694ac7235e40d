"""Volumes that are made for servers bear a mark, by which a real Cinder finds the one that nobody heard of."""

from nova.conductor.acceptance.boot_volumes import MARK
from nova.structs.context import Context


def test_a_real_cinder_finds_a_volume_by_its_mark(make_cloud, real_cinder):
    cloud = make_cloud()
    cloud.stand_beside(cinder=real_cinder)
    volumes = cloud.conductors[0].core.step_context.volumes
    user = Context(user_id="admin", project_id="project", roles=("admin",), auth_token="admin:project")
    made = [volumes.create(1, user, metadata={MARK: name}) for name in ("one", "other")]

    found = volumes.find(user, metadata=str({MARK: "one"}))

    assert [volume.id for volume in found] == [made[0].id]
    assert found[0].metadata == {MARK: "one"}
