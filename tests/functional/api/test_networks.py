"""The networks of a project as this API shows them until 2.35."""

import pytest

LISTS = ("/os-networks", "/os-tenant-networks")


@pytest.mark.parametrize("path", LISTS)
def test_networks_are_shown_as_soon_as_they_are_made_up_or_down(cloud, path):
    user = cloud.client(version="2.1")

    def make(**fields):
        return user.post("/v2.0/networks", {"network": fields}, url="http://network").json()["network"]["id"]

    def shown():
        return [network["id"] for network in user.get(path).json()["networks"]]

    first = make(name="first")
    before = shown()
    down = make(name="down", admin_state_up=False)
    after = shown()
    one = user.get(f"{path}/{down}")
    user.delete(f"/v2.0/networks/{first}", url="http://network")

    assert before == [first]
    assert sorted(after) == sorted([first, down])
    assert one.status_code == 200
    assert shown() == [down]
    assert user.get(f"{path}/{first}").status_code == 404
