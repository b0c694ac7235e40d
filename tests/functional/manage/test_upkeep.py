"""Records that are put right: allocations, what deleted servers left, properties of images."""


def test_what_servers_should_hold_is_claimed_again(cloud, operator):
    cloud.add_host()
    server_id = cloud.client().create_server()["id"]
    held = cloud.allocations(server_id)
    cloud.placement.release(server_id)

    assert operator("placement", "heal_allocations", "--dry-run")[0] == 0
    assert cloud.allocations(server_id) == {}
    status, said = operator("placement", "heal_allocations", "--verbose")

    assert (status, cloud.allocations(server_id)) == (0, held)
    assert server_id in said
    assert operator("placement", "heal_allocations")[0] == 4


def test_what_servers_hold_wrongly_is_replaced_only_when_it_is_asked_for(cloud, operator):
    cloud.add_host()
    server_id = cloud.client().create_server()["id"]
    held = cloud.allocations(server_id)
    [provider] = held
    cloud.placement.release(server_id)
    cloud.placement.claim(server_id, {provider: {"VCPU": 2}}, "project", "user")

    assert operator("placement", "heal_allocations")[0] == 4
    assert operator("placement", "heal_allocations", "--force", "--instance", server_id)[0] == 0

    assert cloud.allocations(server_id) == held


def test_an_audit_finds_what_nobody_has_and_gives_back_what_is_ours(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    kept, gone = user.create_server()["id"], user.create_server()["id"]
    user.delete(f"/servers/{gone}")
    user.wait_gone(gone)
    [provider] = cloud.allocations(kept)
    cloud.placement.claim(gone, {provider: {"VCPU": 1}}, "project", "user")
    other = "5d0c7e93-b1f2-4846-8f41-55f8e2b9d8a1"
    cloud.placement.claim(other, {provider: {"VCPU": 1}}, "project", "user", "RESERVATION")

    status, said = operator("placement", "audit")
    assert status == 3 and gone in said and other in said and kept not in said
    status, said = operator("placement", "audit", "--delete")

    assert status == 4
    assert cloud.allocations(gone) == {}
    assert cloud.allocations(other) == {provider: {"VCPU": 1}}
    assert cloud.allocations(kept) != {}


def test_records_of_deleted_servers_are_purged_and_no_others(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    kept, gone = user.create_server()["id"], user.create_server()["id"]
    user.delete(f"/servers/{gone}")
    user.wait_gone(gone)

    assert operator("db", "purge", "--before", "2020-01-01")[0] == 3
    status, said = operator("db", "purge", "--all", "--verbose")

    assert (status, said.strip()) == (0, "The records of 1 deleted servers are purged.")
    shown = cloud.client("admin", "admin").get("/servers?all_tenants=1&deleted=1").json()["servers"]
    assert shown == []
    assert user.server(kept)["status"] == "ACTIVE"


def test_image_properties_change_while_there_is_no_guest(cloud, operator):
    cloud.add_host()
    user = cloud.client()
    server_id = user.create_server()["id"]
    change = ("image_property", "set", server_id, "--property", "hw_disk_bus=sata")

    assert operator(*change)[0] == 3
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")
    assert operator(*change[:-1], "hw_disk_bus=floppy")[0] == 5
    assert operator(*change)[0] == 0

    assert operator("image_property", "show", server_id, "hw_disk_bus") == (0, "sata\n")
