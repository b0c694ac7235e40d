"""Files for a new server, within the project's limits."""

import base64

import pytest


def file(path="/etc/motd", size=1):
    return {"path": path, "contents": base64.b64encode(b"x" * size).decode()}


TOO_MUCH = {
    "files": [file(f"/{number}") for number in range(6)],
    "bytes": [file(size=10241)],
    "path": [file("/" + "a" * 255)],
}


@pytest.mark.parametrize("files", TOO_MUCH.values(), ids=TOO_MUCH)
def test_more_than_the_limits_is_403_and_makes_nothing(cloud, files):
    user = cloud.client(version="2.1")
    body = user.wanted()
    body.pop("networks", None)

    answer = user.post("/servers", {"server": {**body, "personality": files}})

    assert answer.status_code == 403, answer.text
    assert user.get("/servers").json()["servers"] == []


def test_what_the_limits_allow_is_taken(cloud):
    user = cloud.client(version="2.1")
    body = user.wanted()
    body.pop("networks", None)
    files = [file("/" + "a" * 254, size=10240), *(file(f"/{number}") for number in range(4))]

    answer = user.post("/servers", {"server": {**body, "personality": files}})

    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("files", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_rebuild_keeps_the_limits_too(cloud, files):
    cloud.add_host()
    server = cloud.client().create_server()
    user = cloud.client(version="2.1")
    image = next(iter(cloud.glance.images))

    answer = user.act(server["id"], "rebuild", {"imageRef": image, "personality": files})

    assert answer.status_code == 403, answer.text
    assert user.server(server["id"])["status"] == "ACTIVE"
