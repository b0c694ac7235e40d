"""A server's life, as a user and an operator see it."""


def test_a_server_is_built_and_deleted_and_leaves_nothing_behind(cloud):
    host = cloud.add_host()
    user = cloud.client()

    server = user.create_server(name="first")

    assert server["status"] == "ACTIVE"
    assert server["OS-EXT-STS:power_state"] == 1
    assert list(host.guests) == [server["id"]]
    assert list(cloud.allocations(server["id"]).values()) == [{"VCPU": 1, "MEMORY_MB": 512, "DISK_GB": 1}]

    assert user.delete(f"/servers/{server['id']}").status_code == 204
    user.wait_gone(server["id"])

    assert host.guests == {}
    assert cloud.allocations(server["id"]) == {}
