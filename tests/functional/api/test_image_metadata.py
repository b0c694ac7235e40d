"""Metadata of images: properties, never the image's own fields."""

import pytest


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("PUT", "/metadata/name", {"meta": {"name": "mine"}}),
        ("PUT", "/metadata", {"metadata": {"name": "mine"}}),
        ("POST", "/metadata", {"metadata": {"color": "red", "visibility": "public"}}),
    ],
    ids=["one", "all", "more"],
)
def test_metadata_changes_no_field_of_the_image_itself(cloud, method, path, body):
    user = cloud.client("admin", version="2.1")
    image = f"/images/{next(iter(cloud.glance.images))}"
    before = user.get(image).json()

    answer = user.request(method, image + path, body)

    assert answer.status_code == 400, answer.text
    assert user.get(image).json() == before
