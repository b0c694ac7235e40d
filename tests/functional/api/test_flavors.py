"""Flavors that are not public, as Horizon and `openstack flavor create --private --project` make them."""


def test_a_private_flavor_is_nobody_s_until_projects_are_let_in(cloud):
    admin = cloud.client("admin", "project")
    wanted = {"name": "p", "id": "p", "ram": 1, "vcpus": 1, "disk": 0, "os-flavor-access:is_public": False}
    admin.post("/flavors", {"flavor": wanted})

    before = admin.get("/flavors/p/os-flavor-access").json()["flavor_access"]
    added = admin.post("/flavors/p/action", {"addTenantAccess": {"tenant": "project"}})

    assert before == []
    assert added.json()["flavor_access"] == [{"flavor_id": "p", "tenant_id": "project"}]
    assert cloud.client("user", "project").get("/flavors/p").status_code == 200
    assert cloud.client("user", "other").get("/flavors/p").status_code == 404
