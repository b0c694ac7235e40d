"""Images out of the object store, and copies: boto3 puts them there and registers them; nova-cert, the store and a
conductor do what they do in a cloud."""

import gzip
import hashlib
import os
import subprocess

import boto3
import pytest
from botocore.config import Config

from nova.cert.service import CertService
from nova.clients.adapters import service_adapter
from nova.conductor.image_imports import arrival
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from nova.objectstore.application import application, make_store
from nova.rpc.cert import cert_client
from tests.functional.cloud import wait as wait_for
from tests.functional.ec2.bundles import Bundle, archive, member
from tests.functional.ec2.conftest import Ec2, wait
from tests.functional.ec2.test_instances import code
from tests.functional.keystone import SECRET
from tests.functional.nova_all import free_port

DISK = bytes(range(256)) * 1024 + bytes(1_500_000)
SETTINGS = """
[DEFAULT]
s3_host = 127.0.0.1
s3_port = {port}
buckets_path = {directory}/buckets
image_decryption_dir = {directory}/unpacked
ec2_image_max_gb = 1
[crypto]
ca_path = {directory}/CA
"""


class Place(Ec2):
    """A cloud with an EC2 API, an object store and a nova-cert."""

    def __init__(self, make_cloud, directory):
        port = free_port()
        super().__init__(make_cloud(SETTINGS.format(port=port, directory=directory)))
        conf = self.cloud.conf
        self.unpacked = directory / "unpacked"
        self._store = make_store(conf)
        app = application(conf, self._store, service_adapter(conf, "keystone", self.cloud.transport))
        limits = Limits(requests=20, connections_per_source=0, streams_bodies=True, body_bytes=1 << 40)
        self._objects = HttpServer(listen("127.0.0.1", port), app, limits, fault=app.fault)
        self._objects.start()
        self.url = f"http://127.0.0.1:{port}"
        self._cert = CertService(conf, self.cloud.bus)
        self._cert.start()
        self.certificate = cert_client(self.cloud.bus).root_certificate()

    def s3(self, user="user", project="project"):
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=f"{user}:{project}",
            aws_secret_access_key=SECRET,
            region_name="RegionOne",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def put(self, objects, bucket="images", project="project"):
        client = self.s3(project=project)
        if bucket not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        for key, data in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=data)

    def put_bundle(self, bundle, key="disk.manifest.xml", prefix="", **facts):
        self.put({f"{prefix}{name}": data for name, data in bundle.parts.items()})
        self.put({f"{prefix}{key}": bundle.manifest(self.certificate, **facts)})
        return f"images/{prefix}{key}"

    def in_glance(self):
        return [image for image in self.cloud.glance.images.values() if image["name"] != "tiny"]

    def data(self, client, image_id):
        """What the Image service has for the image of a name that is its own."""
        name = client.describe_images(ImageIds=[image_id])["Images"][0]["Name"]
        (image,) = [one for one in self.in_glance() if one["name"] == name]
        return self.cloud.glance.content(image["id"])

    def failure(self, client, image_id):
        """Why an image did not arrive; nothing is left of it but that."""
        shown = wait_for(lambda: state(client, image_id, "failed"), "the image has failed")
        assert self.in_glance() == []
        assert list(self.unpacked.glob("*")) == []
        client.deregister_image(ImageId=image_id)
        assert code(client.describe_images, ImageIds=[image_id]) == "InvalidAMIID.NotFound"
        return shown["StateReason"]["Message"]

    def stop(self):
        self._cert.stop()
        self._objects.stop()
        self._store.close()
        super().stop()


def state(client, image_id, wanted):
    """The image, once it is in a state."""
    (shown,) = client.describe_images(ImageIds=[image_id])["Images"]
    assert shown["State"] in ("pending", wanted), shown
    return shown if shown["State"] == wanted else None


def reason(client, image_id):
    return client.describe_images(ImageIds=[image_id])["Images"][0]["StateReason"]["Message"]


@pytest.fixture(scope="module")
def place(make_module_cloud, tmp_path_factory):
    place = Place(make_module_cloud, tmp_path_factory.mktemp("place"))
    yield place
    place.stop()


@pytest.fixture
def client(place):
    """Its project has no images, and nothing in its buckets."""
    yield place.client()
    place.cloud.glance.is_full = False
    for client in (place.client(), place.client(project="other")):
        for image in client.describe_images(Owners=["self"])["Images"]:
            client.deregister_image(ImageId=image["ImageId"])
    wait_for(lambda: not place.in_glance(), "no image is left")
    s3 = place.s3()
    for bucket in s3.list_buckets()["Buckets"]:
        for entry in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
            s3.delete_object(Bucket=bucket["Name"], Key=entry["Key"])


def test_a_bundle_becomes_an_image_and_is_deregistered(place, client):
    location = place.put_bundle(Bundle(DISK), prefix="of/mine/")

    image_id = client.register_image(Name="bundled", Description="d", ImageLocation=location)["ImageId"]
    assert client.describe_images(ImageIds=[image_id])["Images"][0]["State"] in ("pending", "available")
    wait(client, "image_available", ImageIds=[image_id])

    assert place.data(client, image_id) == DISK
    shown = client.describe_images(Owners=["self"], ImageIds=[image_id])["Images"][0]
    assert (shown["ImageLocation"], shown["Architecture"], shown["Description"]) == (location, "x86_64", "d")
    assert shown["Public"] is False
    assert list(place.unpacked.glob("*")) == []
    assert code(place.client(project="other").deregister_image, ImageId=image_id) == "InvalidAMIID.NotFound"
    client.deregister_image(ImageId=image_id)
    assert place.in_glance() == []


def test_kernel_and_ramdisk_are_bundles_that_a_machines_manifest_names(place, client):
    ids = []
    for name, mark in (("kernel", "<kernel_id>true</kernel_id>"), ("ramdisk", "<ramdisk_id>true</ramdisk_id>")):
        location = place.put_bundle(Bundle(name.encode()), f"{name}.manifest.xml", f"{name}/", configuration=mark)
        ids.append(client.register_image(Name=name, ImageLocation=location)["ImageId"])
        wait(client, "image_available", ImageIds=[ids[-1]])
    kernel_id, ramdisk_id = ids
    parts = f"<kernel_id>{kernel_id}</kernel_id><ramdisk_id>{ramdisk_id}</ramdisk_id>"
    location = place.put_bundle(Bundle(DISK), configuration=parts)

    image_id = client.register_image(Name="machine", ImageLocation=location)["ImageId"]
    wait(client, "image_available", ImageIds=[image_id])

    assert (kernel_id[:4], ramdisk_id[:4]) == ("aki-", "ari-")
    shown = {each["ImageId"]: each for each in client.describe_images(Owners=["self"])["Images"]}
    assert (shown[image_id]["KernelId"], shown[image_id]["RamdiskId"]) == (kernel_id, ramdisk_id)
    assert [shown[each]["ImageType"] for each in (kernel_id, ramdisk_id, image_id)] == ["kernel", "ramdisk", "machine"]
    other = place.client(project="other")
    place.put({"disk.raw": DISK}, "theirs", "other")
    wanted = {"Name": "x", "ImageLocation": "theirs/disk.raw", "KernelId": kernel_id}
    assert code(other.register_image, **wanted) == "InvalidAMIID.NotFound"
    client.deregister_image(ImageId=kernel_id)


def test_a_disk_becomes_an_image(place, client, tmp_path):
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    place.put({"disk.qcow2": path.read_bytes()})
    tags = [{"ResourceType": "image", "Tags": [{"Key": "use", "Value": "web"}]}]

    image_id = client.register_image(Name="disk", ImageLocation="images/disk.qcow2", TagSpecifications=tags)["ImageId"]
    wait(client, "image_available", ImageIds=[image_id])

    assert place.data(client, image_id) == path.read_bytes()
    assert place.in_glance()[0]["disk_format"] == "qcow2"
    assert client.describe_images(ImageIds=[image_id])["Images"][0]["Tags"] == tags[0]["Tags"]


def test_an_object_is_what_is_stored_whatever_its_owner_says_of_its_encoding(place, client):
    packed = gzip.compress(gzip.compress(bytes(64 << 20)))
    s3 = place.s3()
    place.put({"other": b""})
    for key in ("packed.raw", "packed.manifest.xml"):
        s3.put_object(Bucket="images", Key=key, Body=packed, ContentEncoding="gzip, gzip")

    image_id = client.register_image(Name="packed", ImageLocation="images/packed.raw")["ImageId"]
    wait_for(lambda: state(client, image_id, "available"), "the image is there")

    assert place.data(client, image_id) == packed
    assert code(client.register_image, Name="none", ImageLocation="images/packed.manifest.xml") == "InvalidManifest"


def test_holes_of_a_disk_take_no_room_on_their_way(place, client, monkeypatch):
    size = 512 << 20
    written = []
    monkeypatch.setattr(arrival, "_check", lambda file, image: written.append(os.fstat(file.fileno())))
    place.put({"holes.raw": b"disk" + bytes(size - 4)})

    image_id = client.register_image(Name="holes", ImageLocation="images/holes.raw")["ImageId"]
    wait_for(lambda: state(client, image_id, "available"), "the image is there")

    assert written[0].st_size == size
    assert written[0].st_blocks * 512 < size / 10


def test_a_disk_that_stands_on_a_file_of_the_host_is_refused(place, client, tmp_path):
    path = tmp_path / "disk.qcow2"
    make = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", path, "1M"]
    subprocess.run(make, check=True)
    place.put({"disk.qcow2": path.read_bytes(), "disk.raw": path.read_bytes()})

    image_id = client.register_image(Name="disk", ImageLocation="images/disk.qcow2")["ImageId"]
    assert place.failure(client, image_id) == "The image is refused: it stands on a backing file."
    image_id = client.register_image(Name="disk", ImageLocation="images/disk.raw")["ImageId"]
    assert place.failure(client, image_id) == "The image is refused: it is called raw and is qcow2."


def test_a_bucket_of_another_project_does_not_exist(place, client):
    bundle = Bundle(DISK)
    place.put(bundle.parts, "theirs", "other")
    place.put({"disk.raw": DISK, "disk.manifest.xml": bundle.manifest(place.certificate)}, "theirs", "other")
    place.put({"a": b"a"})

    for key in ("disk.raw", "disk.manifest.xml"):
        assert code(client.register_image, Name="x", ImageLocation=f"theirs/{key}") == "NoSuchBucket"
    assert code(client.register_image, Name="x", ImageLocation="images/disk.raw") == "NoSuchKey"
    # The same names in a bucket of one's own: the parts are looked for there, and are not.
    place.put({"disk.manifest.xml": bundle.manifest(place.certificate)}, "theirs")
    image_id = client.register_image(Name="x", ImageLocation="theirs/disk.manifest.xml")["ImageId"]
    assert place.failure(client, image_id) == "The specified key does not exist."


SYMLINK = archive(b"", type=b"2", linkname="/etc/passwd")
BAD_BUNDLES = {
    "link": (lambda: Bundle(b"", SYMLINK), "its archive holds no file, or something else than a file"),
    "two files": (lambda: Bundle(DISK, archive(DISK, b"x")), "its archive holds more than one file"),
    "short": (lambda: Bundle(DISK, member(len(DISK)).tobuf() + DISK[:1000]), "its data are no archive"),
    "no archive": (lambda: Bundle(DISK, b"x" * 20000), "its data are no archive"),
    "no gzip": (lambda: Bundle(DISK, compressed=DISK), "its data are not compressed by gzip"),
}


@pytest.mark.parametrize("name", sorted(BAD_BUNDLES))
def test_a_bundle_that_is_none_fails_and_leaves_nothing(place, client, name):
    make, reason = BAD_BUNDLES[name]
    location = place.put_bundle(make())

    image_id = client.register_image(Name="bad", ImageLocation=location)["ImageId"]

    assert reason in place.failure(client, image_id)


def test_a_bundle_that_says_what_is_not_so_fails_and_leaves_nothing(place, client):
    small, wrong, cut, bomb = Bundle(DISK), Bundle(DISK), Bundle(DISK), Bundle(DISK, archive(bytes(50_000_000)))
    small.size = 1000
    wrong.digest = "0" * 40
    last = list(cut.parts)[-1]
    digests = {name: hashlib.sha1(data).hexdigest() for name, data in cut.parts.items()}
    cut.parts[last] = cut.parts[last][:-16]
    bomb.size = 1000
    zeros = dict.fromkeys(wrong.parts, "0" * 40)
    cases = (
        (small, {}, "its file is not as long as the manifest says"),
        (bomb, {}, "its file is not as long as the manifest says"),
        (wrong, {}, "its archive has another digest than the manifest says"),
        (Bundle(DISK), {"digests": zeros}, "a part has another digest than the manifest says"),
        (cut, {"digests": digests}, "a part has another digest than the manifest says"),
        (cut, {}, "it was not encrypted with its key"),
    )
    for bundle, facts, reason in cases:
        location = place.put_bundle(bundle, **facts)
        image_id = client.register_image(Name="bad", ImageLocation=location)["ImageId"]
        assert reason in place.failure(client, image_id)


def test_a_key_that_was_encrypted_for_somebody_else_is_refused(place, client, make_cloud, tmp_path):
    elsewhere = Bundle(DISK)
    place.put(elsewhere.parts)
    manifest = elsewhere.manifest(place.certificate)
    garbled = manifest.replace(b'AES-128-CBC">', b'AES-128-CBC">0000')
    place.put({"disk.manifest.xml": garbled})

    image_id = client.register_image(Name="bad", ImageLocation="images/disk.manifest.xml")["ImageId"]

    assert place.failure(client, image_id) == "The bundle's key was not encrypted for this cloud's certificate."


BOMB = b'<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><manifest>&b;</manifest>'
BAD_MANIFESTS = {
    "entities": lambda good: BOMB,
    "no xml": lambda good: b"manifest",
    "path": lambda good: good.replace(b"<filename>disk.part.0", b"<filename>../theirs/disk.part.0"),
    "parent": lambda good: good.replace(b"<filename>disk.part.0", b"<filename>.."),
    "missing part": lambda good: good.replace(b'index="0"', b'index="1"'),
    "too large": lambda good: good.replace(b"<size>", b"<size>9999999"),
    "no digest": lambda good: good.replace(b"<digest", b"<digits").replace(b"</digest", b"</digits"),
    "other algorithm": lambda good: good.replace(b"AES-128-CBC", b"AES-256-CBC"),
    "too long": lambda good: good.replace(b"<version>", b"<version>" + b"x" * (4 << 20)),
}


@pytest.mark.parametrize("name", sorted(BAD_MANIFESTS))
def test_a_manifest_that_is_none_is_refused_at_once(place, client, name):
    bundle = Bundle(b"x" * 1000)
    place.put({"disk.manifest.xml": BAD_MANIFESTS[name](bundle.manifest(place.certificate))})

    expected = "InvalidParameterValue" if name == "too large" else "InvalidManifest"
    assert code(client.register_image, Name="bad", ImageLocation="images/disk.manifest.xml") == expected
    assert client.describe_images(Owners=["self"])["Images"] == []
    assert place.in_glance() == []


def test_a_manifest_has_10000_parts_at_most(place, client):
    bundle = Bundle(b"x" * 1000)
    one = hashlib.sha1(b"").hexdigest()
    names = [f"part.{number}" for number in range(10_001)]
    manifest = bundle.manifest(place.certificate, names=names, digests=dict.fromkeys(names, one))
    place.put({"disk.manifest.xml": manifest})

    assert code(client.register_image, Name="bad", ImageLocation="images/disk.manifest.xml") == "InvalidManifest"


@pytest.mark.parametrize(
    "location",
    ["images", "images/", "images/../x.raw", "Im/x.raw", "images/x.exe", "images/a//b.raw", "../x.raw", "i..m/x.raw"],
)
def test_a_location_that_is_none_is_refused(client, location):
    assert code(client.register_image, Name="bad", ImageLocation=location) == "InvalidParameterValue"


def test_what_cannot_be_honoured_is_refused(place, client):
    place.put({"disk.raw": DISK})
    wanted = {"Name": "x", "ImageLocation": "images/disk.raw"}

    assert code(client.register_image, Name="x") == "MissingParameter"
    for more in (
        {"EnaSupport": True},
        {"VirtualizationType": "paravirtual"},
        {"BlockDeviceMappings": [{"DeviceName": "/dev/vda", "Ebs": {"SnapshotId": "snap-00000001"}}]},
    ):
        assert code(client.register_image, **wanted, **more) == "Unsupported"
    for more in ({"Architecture": "vax"}, {"RootDeviceName": "/etc/passwd"}, {"Description": "d" * 256}):
        assert code(client.register_image, **wanted, **more) == "InvalidParameterValue"
    assert code(place.client(user="reader").register_image, **wanted) == "UnauthorizedOperation"
    assert place.in_glance() == []


def test_an_image_that_was_accepted_arrives_whatever_dies_meanwhile(place, client):
    location = place.put_bundle(Bundle(DISK))
    place.cloud.glance.is_full = True
    image_id = client.register_image(Name="late", ImageLocation=location)["ImageId"]
    wait_for(lambda: reason(client, image_id) == "uploading", "it is seen how far the image is")
    place.cloud.stop_conductor()
    place.cloud.add_conductor()
    assert client.describe_images(ImageIds=[image_id])["Images"][0]["State"] == "pending"

    place.cloud.glance.is_full = False
    wait(client, "image_available", ImageIds=[image_id])

    assert place.data(client, image_id) == DISK


def test_an_image_on_its_way_is_deregistered(place, client):
    location = place.put_bundle(Bundle(DISK))
    place.cloud.glance.is_full = True
    image_id = client.register_image(Name="unwanted", ImageLocation=location)["ImageId"]

    assert code(place.client(project="other").deregister_image, ImageId=image_id) == "InvalidAMIID.NotFound"
    client.deregister_image(ImageId=image_id)

    wait_for(lambda: place.in_glance() == [], "the record is removed")
    place.cloud.glance.is_full = False
    assert code(client.describe_images, ImageIds=[image_id]) == "InvalidAMIID.NotFound"


def test_a_project_has_ten_images_on_their_way_at_most(place, client):
    location = place.put_bundle(Bundle(DISK))
    place.cloud.glance.is_full = True
    for number in range(10):
        client.register_image(Name=str(number), ImageLocation=location)

    assert code(client.register_image, Name="11", ImageLocation=location) == "ResourceLimitExceeded"
    assert len(place.in_glance()) == 10
    place.cloud.glance.is_full = False


def test_an_image_is_copied(place, client):
    place.put({"disk.raw": DISK})
    source = client.register_image(Name="source", ImageLocation="images/disk.raw", Description="s")["ImageId"]
    wait(client, "image_available", ImageIds=[source])
    wanted = {"Name": "copy", "SourceImageId": source, "SourceRegion": "nova", "ClientToken": "once"}

    copy = client.copy_image(**wanted)["ImageId"]
    wait(client, "image_available", ImageIds=[copy])

    assert copy != source
    assert place.data(client, copy) == DISK
    assert client.describe_images(ImageIds=[copy])["Images"][0]["Description"] == "s"
    assert client.copy_image(**wanted)["ImageId"] == copy
    assert code(client.copy_image, **wanted | {"Name": "else"}) == "IdempotentParameterMismatch"
    assert code(client.copy_image, **wanted | {"SourceRegion": "mars"}) == "InvalidParameterValue"
    assert code(client.copy_image, **wanted, Encrypted=True) == "Unsupported"
    assert code(place.client(project="other").copy_image, **wanted) == "InvalidAMIID.NotFound"
    assert len(place.in_glance()) == 2


def test_an_image_that_shares_what_is_not_in_it_is_not_copied(place, client):
    image_id = place.cloud.glance.add("locked", owner="project", cinder_encryption_key_id="key", visibility="private")
    ec2_id = next(one["ImageId"] for one in client.describe_images()["Images"] if one["Name"] == "locked")

    wanted = {"Name": "copy", "SourceImageId": ec2_id, "SourceRegion": "nova"}
    assert code(client.copy_image, **wanted) == "Unsupported"
    assert [image["id"] for image in place.in_glance()] == [image_id]
