"""Limits are kept as they were set, for as long as their versions know them."""

import pytest

NETWORK = {"fixed_ips": 7, "floating_ips": 8, "security_groups": 9, "security_group_rules": 10}


@pytest.fixture
def client(cloud):
    return lambda version: cloud.client("admin", "admin", version=version)


@pytest.mark.parametrize("path", ["/os-quota-sets/project", "/os-quota-class-sets/default"])
def test_network_limits_are_kept(client, path):
    key = "quota_set" if "class" not in path else "quota_class_set"

    before = client("2.1").get(path).json()[key]
    set_ = client("2.1").put(path, {key: NETWORK})
    after = client("2.1").get(path).json()[key]

    assert set_.status_code == 200, set_.text
    assert {name: before[name] for name in NETWORK} == dict.fromkeys(NETWORK, -1)
    assert set_.json()[key].items() >= NETWORK.items()
    assert after.items() >= NETWORK.items()
    assert after.items() - NETWORK.items() == before.items() - {(name, -1) for name in NETWORK}


@pytest.mark.parametrize(
    ("path", "key", "last", "first_without"),
    [
        ("/os-quota-sets/project", "quota_set", "2.35", "2.36"),
        ("/os-quota-class-sets/default", "quota_class_set", "2.49", "2.50"),
    ],
)
def test_later_versions_do_not_know_them(client, path, key, last, first_without):
    assert client(last).put(path, {key: NETWORK}).status_code == 200

    assert client(first_without).put(path, {key: NETWORK}).status_code == 400
    assert not NETWORK.keys() & client(first_without).get(path).json()[key].keys()


def test_a_projects_defaults_are_those_of_the_class(client):
    client("2.1").put("/os-quota-class-sets/default", {"quota_class_set": {"floating_ips": 3, "cores": 4}})

    defaults = client("2.1").get("/os-quota-sets/project/defaults").json()["quota_set"]
    detail = client("2.1").get("/os-quota-sets/project/detail").json()["quota_set"]

    assert (defaults["floating_ips"], defaults["cores"]) == (3, 4)
    assert detail["floating_ips"] == {"limit": 3, "in_use": 0, "reserved": 0}


def test_limits_show_network_quotas_as_they_were_set(client):
    names = {
        "maxTotalFloatingIps": "floating_ips",
        "maxSecurityGroups": "security_groups",
        "maxSecurityGroupRules": "security_group_rules",
    }

    def shown(version="2.35"):
        return client(version).get("/limits").json()["limits"]["absolute"]

    before = shown()
    client("2.1").put("/os-quota-sets/admin", {"quota_set": NETWORK})

    assert {before[name] for name in names} == {-1}
    assert {name: shown()[name] for name in names} == {name: NETWORK[of] for name, of in names.items()}
    assert not names.keys() & shown("2.36").keys()
