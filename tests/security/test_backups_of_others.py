"""What is deleted for a server's user is that user's own, whatever others write on images of theirs.

A server's uuid is no secret: every image that was made of it and is shared carries it.
"""


def backup(user, server_id, name):
    assert user.act(server_id, "createBackup", {"name": name, "backup_type": "daily", "rotation": 2}).status_code == 202
    user.wait(server_id, "ACTIVE")


def images(cloud):
    return sorted(image["name"] for image in cloud.glance.images.values() if image.get("image_type") == "backup")


def test_a_strangers_images_count_for_no_rotation_and_are_not_deleted_by_one(cloud):
    cloud.add_host()
    victim = cloud.client("victim", "victim")
    server_id = victim.create_server()["id"]
    backup(victim, server_id, "monday")
    backup(victim, server_id, "tuesday")
    facts = {"image_type": "backup", "backup_type": "daily", "instance_uuid": server_id}
    for name, created_at in (("old", "2020-01-01T00:00:00Z"), ("new", "2099-01-01T00:00:00Z")):
        cloud.glance.add(name, owner="mallory", visibility="private", created_at=created_at, **facts)

    backup(victim, server_id, "wednesday")

    assert images(cloud) == ["new", "old", "tuesday", "wednesday"]
