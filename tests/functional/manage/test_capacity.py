"""What can be built still: on the hosts, and within quotas."""

from tests.functional.manage.printed import table


def fit(operator, *words):
    return {row["Flavor"]: row for row in table(operator("capacity", "show", *words)[1])}


def test_capacity_is_what_can_be_built(cloud, operator):
    user = cloud.client("admin", "project")
    for name in ("host-1", "host-2", "host-3"):
        cloud.add_host(name)
    [service] = [
        one
        for one in user.get("/os-services?binary=nova-compute").json()["services"]
        if one["host"] == cloud.hypervisor("host-3").name
    ]
    assert user.put(f"/os-services/{service['id']}", {"status": "disabled"}).status_code == 200
    flavor = {"name": "third", "vcpus": 1, "ram": cloud.hypervisor("host-1").memory_mb // 3, "disk": 1, "id": "third"}
    assert user.post("/flavors", {"flavor": flavor}).status_code == 200
    unlimited = {"instances": -1, "cores": -1, "ram": -1}
    assert user.put("/os-quota-sets/project", {"quota_set": unlimited}).status_code == 200

    before = fit(operator, "--flavor", "third")["third"]
    made = [user.create_server(flavor="third") for _ in range(int(before["Fit"]))]
    after = fit(operator, "--flavor", "third")["third"]
    refused = user.create_server("ERROR", flavor="third")

    assert before["Hosts"] == "2" and int(before["Fit"]) > 0
    assert before["Ends first"] == "MEMORY_MB"
    assert {one["status"] for one in made} == {"ACTIVE"}
    assert (after["Fit"], after["Hosts"], after["Ends first"]) == ("0", "0", "-")
    assert refused["status"] == "ERROR"


def test_quotas_that_are_nearly_used_up_are_reported(cloud, operator):
    cloud.add_host()
    user = cloud.client("admin", "project")
    user.create_server()
    assert user.put("/os-quota-sets/project", {"quota_set": {"instances": 1, "cores": -1}}).status_code == 200

    everything = {row["Resource"]: row for row in table(operator("quota", "report")[1])}
    full = table(operator("quota", "report", "--above", "100")[1])

    assert (everything["cores"]["Limit"], everything["cores"]["Used"]) == ("unlimited", "-")
    assert [(one["Project"], one["Resource"], one["In use"], one["Limit"]) for one in full] == [
        ("project", "instances", "1", "1")
    ]
    assert table(operator("quota", "report", "--project", "nobody")[1]) == []
