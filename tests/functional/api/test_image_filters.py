"""Filters of images until 2.35, as a real Glance understands them."""

import datetime

import pytest


@pytest.fixture
def user(make_cloud, real_glance):
    cloud = make_cloud()
    cloud.stand_beside(glance=real_glance)
    return cloud.client("user", "project", version="2.35")


SERVER = "3f6a1c1e-8d0b-4f57-9a55-0c5f0e9b7d21"
OTHER = "5b0c1a9f-20de-4c38-8f0a-7d5c43a1be42"


@pytest.fixture
def images(real_glance, user):
    """Names of images that differ in what filters ask for."""
    real_glance.add("base", min_ram=64)
    real_glance.add("disk", min_disk=2)
    real_glance.add("copy", image_type="snapshot", instance_uuid=SERVER)
    real_glance.add("queued", content=None)


def listed(user, query):
    answer = user.get(f"/images/detail?{query}")
    assert answer.status_code == 200, answer.text
    assert user.get(f"/images?{query}").status_code == 200
    return {one["name"] for one in answer.json()["images"]}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=base", {"base"}),
        ("status=ACTIVE", {"base", "disk", "copy"}),
        ("status=active", {"base", "disk", "copy"}),
        ("status=SAVING", {"queued"}),
        ("status=ERROR", set()),
        ("status=nonsense", set()),
        ("minRam=64", {"base"}),
        ("minDisk=2", {"disk"}),
        ("type=snapshot", {"copy"}),
        ("property-image_type=snapshot", {"copy"}),
        (f"server={SERVER}", {"copy"}),
        (f"server=http://compute/v2.1/servers/{SERVER}", {"copy"}),
        (f"server={OTHER}", set()),
        ("status=ACTIVE&type=snapshot", {"copy"}),
    ],
)
def test_a_filter_is_the_image_services(user, images, query, names):
    assert listed(user, query) == names


def test_changes_since_is_a_time(user, images):
    now = datetime.datetime.now(datetime.UTC)
    before, after = (f"{now + datetime.timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (-1, 1))

    assert listed(user, f"changes-since={before}") == {"base", "disk", "copy", "queued"}
    assert listed(user, f"changes-since={after}") == set()
    assert user.get("/images?changes-since=yesterday").status_code == 400


def test_pages_of_a_filtered_list_have_all_that_match(user, images):
    path, names = "/images?status=ACTIVE&limit=1", []
    while path:
        page = user.get(path.partition("/v2.1")[2] or path).json()
        names += [one["name"] for one in page["images"]]
        path = next((link["href"] for link in page.get("images_links", ()) if link["rel"] == "next"), None)

    assert sorted(names) == ["base", "copy", "disk"]
