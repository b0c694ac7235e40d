"""The groups of a project as this API shows them until 2.35."""

import pytest


@pytest.fixture
def user(cloud):
    return cloud.client(version="2.1")


def named(name):
    return {"security_group": {"name": name, "description": "words"}}


def groups(user):
    return {group["name"]: group for group in user.get("/os-security-groups").json()["security_groups"]}


def test_the_default_group_of_a_project_stays_with_its_rules(user):
    path = f"/os-security-groups/{groups(user)['default']['id']}"
    rule = {"parent_group_id": path.rsplit("/", 1)[-1], "ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    assert user.post("/os-security-group-rules", {"security_group_rule": {**rule, "cidr": "::/0"}}).status_code == 200
    before = groups(user)

    answers = [user.delete(path), user.put(path, named("other")), user.post("/os-security-groups", named("default"))]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert groups(user) == before
    assert user.put(path, named("default")).status_code == 200


def test_no_other_group_is_renamed_to_default(user):
    group = user.post("/os-security-groups", named("web")).json()["security_group"]

    assert user.put(f"/os-security-groups/{group['id']}", named("default")).status_code == 400
    assert set(groups(user)) == {"default", "web"}
    assert user.delete(f"/os-security-groups/{group['id']}").status_code == 202


def test_a_truth_value_is_no_port(user):
    group = groups(user)["default"]
    rule = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": True, "to_port": True, "cidr": "::/0"}

    answer = user.post("/os-security-group-rules", {"security_group_rule": rule})

    assert answer.status_code == 400
    assert groups(user)["default"] == group


def test_names_keep_the_blanks_that_they_were_given(user):
    made = user.post("/os-security-groups", named(" web ")).json()["security_group"]
    changed = user.put(f"/os-security-groups/{made['id']}", named("web  ")).json()["security_group"]

    assert (made["name"], changed["name"]) == (" web ", "web  ")
    assert user.put(f"/os-security-groups/{groups(user)['default']['id']}", named("default ")).status_code == 400


def test_administrators_alone_see_the_groups_of_all_projects(cloud, user):
    user.post("/os-security-groups", named("web"))
    admin = cloud.client("admin", "other", version="2.1")
    other = cloud.client("user", "other", version="2.1")

    def names(client, query):
        return {group["name"] for group in client.get(f"/os-security-groups{query}").json()["security_groups"]}

    assert "web" in names(admin, "?all_tenants=1")
    assert "web" not in names(admin, "?all_tenants=0")
    assert "web" not in names(other, "?all_tenants=1")
    assert admin.get("/os-security-groups?all_tenants=perhaps").status_code == 400
