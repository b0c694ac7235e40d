"""The client of the Image service, against a real Glance."""

import io
import socket
import uuid

import pytest

from nova import errors
from nova.structs.context import Context
from nova.structs.image import Image

ALICE = Context(user_id="alice", project_id="a", auth_token="alice:a:member,reader")
BOB = Context(user_id="bob", project_id="b", auth_token="bob:b:member,reader")


@pytest.fixture
def private_image(images):
    """An image of Alice's project, with data."""
    return upload(images, b"data", ALICE)


def test_image_is_read_with_its_properties(images):
    image = upload(images, b"x" * 10, properties={"hw_disk_bus": "scsi"})

    found = images.get(image.id)

    assert (found.status, found.size, found.disk_format) == ("active", 10, "raw")
    assert found.properties == {"hw_disk_bus": "scsi"}
    assert found.hash_algorithm == "sha512" and found.hash_value


def test_private_image_is_there_for_its_project_alone(images, private_image):
    assert images.get(private_image.id, ALICE).owner == "a"

    with pytest.raises(errors.ImageNotFound):
        images.get(private_image.id, BOB)


def test_what_one_user_saw_is_not_shown_to_another(make_images, private_image):
    images = make_images(cache_s=60)
    images.get(private_image.id, ALICE)

    with pytest.raises(errors.ImageNotFound):
        images.get(private_image.id, BOB)


def test_image_that_is_not_there_is_not_found(images):
    for image_id in (str(uuid.uuid4()), "../../etc/passwd", "no uuid"):
        with pytest.raises(errors.ImageNotFound):
            images.get(image_id)


def test_image_is_remembered_for_a_moment(make_images):
    now = [0.0]
    images = make_images(cache_s=5, clock=lambda: now[0])
    image = upload(images, b"data")
    images.get(image.id)
    make_images().delete(image.id)

    assert images.get(image.id).id == image.id
    now[0] = 6.0
    with pytest.raises(errors.ImageNotFound):
        images.get(image.id)


def test_list_goes_on_to_the_last_page(images):
    mark = uuid.uuid4().hex
    for _ in range(3):
        upload(images, b"data", properties={"mark": mark})

    assert len(list(images.list(mark=mark))) == 3
    assert len(list(images.list(mark=mark, limit=2))) == 2


def test_creating_and_uploading_twice_makes_one_image(images):
    wanted = Image(id=str(uuid.uuid4()), name="snapshot", disk_format="raw", visibility="private", status="queued")

    for _ in range(2):
        images.create(wanted, ALICE)
    for _ in range(2):
        image = images.upload(wanted.id, io.BytesIO(b"content"), ALICE)

    assert (image.status, image.size, image.owner) == ("active", 7, "a")


def test_properties_are_set_and_removed(images):
    image = upload(images, b"data", properties={"stays": "1", "goes": "1", "with/slash": "1"})

    changed = images.set_properties(image.id, {"goes": None, "never/was": None, "stays": "2", "with/slash": "2"})

    assert changed.properties == {"stays": "2", "with/slash": "2"}


def test_deleting_twice_is_done(images):
    image = upload(images, b"data")

    images.delete(image.id)
    images.delete(image.id)

    with pytest.raises(errors.ImageNotFound):
        images.get(image.id)


def test_somebody_elses_image_stays(images, private_image):
    images.delete(private_image.id, BOB)

    assert images.get(private_image.id).status == "active"


def test_public_image_cannot_be_deleted_by_its_users(images):
    image = upload(images, b"data")

    with pytest.raises(errors.Forbidden):
        images.delete(image.id, BOB)


def test_download_can_start_anywhere(images):
    image = upload(images, b"0123456789")

    assert b"".join(images.download(image.id)) == b"0123456789"
    assert b"".join(images.download(image.id, start=7)) == b"789"


def test_service_that_is_not_there_is_unavailable(make_images):
    images = make_images()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        images._service.adapter.session.auth.endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"

    with pytest.raises(errors.Unavailable, match="Image service"):
        images.get(str(uuid.uuid4()))


def upload(images, content, context=None, properties=None):
    visibility = "private" if context else "public"
    wanted = Image(id="", name="tiny", disk_format="raw", visibility=visibility, properties=properties or {})
    return images.upload(images.create(wanted, context).id, io.BytesIO(content), context)
