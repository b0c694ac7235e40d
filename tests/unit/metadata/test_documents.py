"""What a guest reads of itself, in both formats, by version."""

import base64
import json

import pytest

from nova.metadata import documents
from nova.metadata.documents import NoSuchDocument
from nova.structs.flavor import Flavor
from nova.structs.image import Image
from tests.unit.metadata.servers import IMAGE_ID, KEY, conf, server, vif, volume

OPENSTACK_VERSIONS = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
]
EC2_VERSIONS = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
]


@pytest.fixture
def read(tmp_path):
    """Read a path of a server's documents, as text."""

    def read(path, instance=None, files=None, options=""):
        return documents.build(instance or server(), conf(tmp_path, options), files).read(path).decode()

    return read


def test_the_versions_are_listed_as_upstream_lists_them(read):
    assert read("/openstack").split("\n") == [*OPENSTACK_VERSIONS, "latest"]
    assert read("/").split("\n") == [*EC2_VERSIONS, "latest"]


def test_a_directory_may_be_asked_for_with_and_without_its_slash(read):
    assert read("/latest/meta-data") == read("/latest/meta-data/")


def test_the_newest_version_tells_everything(read):
    data = json.loads(read("/openstack/latest/meta_data.json"))

    seed = data.pop("random_seed")
    assert len(base64.b64decode(seed)) == 512
    assert data == {
        "uuid": "d8e02d56-2648-49a3-bf97-6be8f1204f38",
        "name": "Test server",
        "hostname": "test.novalocal",
        "launch_index": 1,
        "availability_zone": "zone-1",
        "meta": {"role": "webserver"},
        "public_keys": {"mykey": KEY},
        "keys": [{"name": "mykey", "type": "ssh", "data": KEY}],
        "project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f",
        "devices": [],
        "dedicated_cpus": [],
    }


@pytest.mark.parametrize(
    ("field", "since"),
    [
        ("uuid", "2012-08-10"),
        ("random_seed", "2013-04-04"),
        ("project_id", "2015-10-15"),
        ("keys", "2015-10-15"),
        ("devices", "2016-06-30"),
        ("dedicated_cpus", "2020-10-14"),
    ],
)
def test_a_field_is_there_from_its_version_on(read, field, since):
    having = [v for v in OPENSTACK_VERSIONS if field in json.loads(read(f"/openstack/{v}/meta_data.json"))]

    assert having == [version for version in OPENSTACK_VERSIONS if version >= since]


@pytest.mark.parametrize(
    ("document", "since"),
    [
        ("meta_data.json", "2012-08-10"),
        ("user_data", "2012-08-10"),
        ("password", "2013-04-04"),
        ("vendor_data.json", "2013-10-17"),
        ("network_data.json", "2015-10-15"),
        ("vendor_data2.json", "2016-10-06"),
    ],
)
def test_a_document_is_there_from_its_version_on(read, document, since):
    having = [v for v in OPENSTACK_VERSIONS if document in read(f"/openstack/{v}/").split("\n")]

    assert having == [version for version in OPENSTACK_VERSIONS if version >= since]


def test_what_the_user_did_not_give_is_not_there(read):
    plain = server(properties={"keypair": None}, metadata={}, user_data=None)

    data = json.loads(read("/openstack/latest/meta_data.json", plain))

    assert not {"meta", "public_keys", "keys", "files"} & data.keys()
    assert "public-keys/" not in read("/latest/meta-data/", plain)
    for path in ("/openstack/latest/user_data", "/latest/user-data"):
        with pytest.raises(NoSuchDocument):
            read(path, plain)


def test_user_data_is_what_the_user_sent(read):
    assert read("/openstack/latest/user_data") == "#!/bin/sh\necho hello\n"
    assert read("/1.0/user-data") == "#!/bin/sh\necho hello\n"


def test_user_data_need_not_be_text(tmp_path):
    sent = bytes(range(256))
    built = documents.build(server(user_data=base64.b64encode(sent).decode()), conf(tmp_path))

    assert built.read("/latest/user-data") == sent


@pytest.mark.parametrize(
    ("domain", "hostname", "told"),
    [("novalocal", "one", "one.novalocal"), ("", "one", "one"), ("novalocal", "one.example.org", "one.example.org")],
)
def test_the_hostname_carries_the_domain_of_its_network(read, domain, hostname, told):
    options = f"[api]\ndhcp_domain = {domain}\n"

    assert read("/latest/meta-data/hostname", server(hostname=hostname), options=options) == told


def test_a_server_without_a_zone_is_in_the_default_one(read):
    assert read("/latest/meta-data/placement/availability-zone", server(availability_zone=None)) == "nova"


def test_files_are_listed_where_they_belong_and_found_where_they_are(read):
    files = {"/etc/motd": b"hello", "/root/raw": b"\xff"}

    data = json.loads(read("/openstack/2012-08-10/meta_data.json", files=files))

    assert data["files"] == [
        {"content_path": "/content/0000", "path": "/etc/motd"},
        {"content_path": "/content/0001", "path": "/root/raw"},
    ]
    assert read("/openstack/content/0000", files=files) == "hello"
    assert "content" not in read("/openstack", files=files)


def test_tagged_devices_are_told_with_their_tags(read):
    tagged = server(
        vifs=(vif(tag="nic1"), vif(mac="fa:16:3e:00:00:02")),
        block_devices=(volume(tag="data", volume_id="v1", disk_bus="virtio", device_name="/dev/vdb"), volume(id="c")),
    )

    devices = json.loads(read("/openstack/latest/meta_data.json", tagged))["devices"]

    assert devices == [
        {"type": "nic", "mac": "fa:16:3e:9c:bf:3d", "tags": ["nic1"], "vf_trusted": False},
        {"type": "disk", "tags": ["data"], "bus": "virtio", "serial": "v1", "path": "/dev/vdb"},
    ]
    assert "vf_trusted" not in json.loads(read("/openstack/2017-02-22/meta_data.json", tagged))["devices"][0]


def test_dedicated_processors_are_told(read):
    flavor = Flavor(id="1", name="pinned", vcpus=3, memory_mb=64, extra_specs={"hw:cpu_policy": "dedicated"})

    data = json.loads(read("/openstack/2020-10-14/meta_data.json", server(flavor=flavor)))

    assert data["dedicated_cpus"] == [0, 1, 2]


def test_vendor_data_is_the_operators_file(read, tmp_path):
    (tmp_path / "vendor.json").write_text('{"puppet": "10.0.0.9"}')
    options = f"[api]\nvendordata_jsonfile_path = {tmp_path}/vendor.json\n"

    assert json.loads(read("/openstack/latest/vendor_data.json", options=options)) == {"puppet": "10.0.0.9"}
    assert json.loads(read("/openstack/latest/vendor_data2.json", options=options)) == {
        "static": {"puppet": "10.0.0.9"}
    }


@pytest.mark.parametrize("content", [None, "no json", "[1]", "\udcff"])
def test_vendor_data_that_cannot_be_used_are_none(read, tmp_path, content):
    if content is not None:
        (tmp_path / "vendor.json").write_bytes(content.encode(errors="surrogateescape"))
    options = f"[api]\nvendordata_jsonfile_path = {tmp_path}/vendor.json\n"

    assert read("/openstack/latest/vendor_data.json", options=options) == "{}"
    assert read("/openstack/latest/vendor_data2.json", options=options) == "{}"


def test_ec2_lists_what_a_guest_of_it_expects(read):
    assert read("/2009-04-04/meta-data/").split("\n") == [
        "ami-id",
        "ami-launch-index",
        "ami-manifest-path",
        "block-device-mapping/",
        "hostname",
        "instance-action",
        "instance-id",
        "instance-type",
        "local-hostname",
        "local-ipv4",
        "placement/",
        "public-hostname",
        "public-ipv4",
        "public-keys/",
        "reservation-id",
        "security-groups",
    ]
    assert read("/2009-04-04/").split("\n") == ["meta-data/", "user-data"]
    assert read("/2009-04-04/meta-data/placement/") == "availability-zone"
    assert read("/2009-04-04/meta-data/public-keys/") == "0=mykey"
    assert read("/2009-04-04/meta-data/public-keys/0/") == "openssh-key"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ami-id", "ami-70a599e0"),
        ("ami-launch-index", "1"),
        ("hostname", "test.novalocal"),
        ("local-hostname", "test.novalocal"),
        ("public-hostname", "test.novalocal"),
        ("instance-id", "i-00000014"),
        ("instance-type", "m1.tiny"),
        ("instance-action", "none"),
        ("local-ipv4", "10.0.0.5"),
        ("public-ipv4", "203.0.113.7"),
        ("placement/availability-zone", "zone-1"),
        ("public-keys/0/openssh-key", KEY),
        ("reservation-id", "r-abcdefgh"),
        ("security-groups", "web\ndefault"),
        ("block-device-mapping/ami", "vda"),
        ("block-device-mapping/root", "/dev/vda"),
    ],
)
def test_ec2_tells_each_value_by_itself(read, path, value):
    assert read(f"/latest/meta-data/{path}") == value


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("instance-id", "1.0"),
        ("local-hostname", "2007-01-19"),
        ("public-ipv4", "2007-01-19"),
        ("instance-type", "2007-08-29"),
        ("block-device-mapping/", "2007-12-15"),
        ("placement/", "2008-02-01"),
        ("instance-action", "2008-09-01"),
    ],
)
def test_ec2_tells_a_value_from_its_version_on(read, name, since):
    having = [version for version in EC2_VERSIONS if name in read(f"/{version}/meta-data/").split("\n")]

    assert having == [version for version in EC2_VERSIONS if version >= since]


def test_a_server_without_networks_has_empty_addresses(read):
    assert read("/latest/meta-data/local-ipv4", server(vifs=())) == ""
    assert read("/latest/meta-data/public-ipv4", server(vifs=())) == ""


def test_an_image_with_a_kernel_beside_it_says_so(read):
    properties = {"kernel_id": "11111111-aaaa", "ramdisk_id": "22222222-bbbb"}
    instance = server(image=Image(id=IMAGE_ID, properties=properties))

    assert read("/latest/meta-data/kernel-id", instance) == "aki-11111111"
    assert read("/latest/meta-data/ramdisk-id", instance) == "ari-22222222"


def test_every_disk_is_named_as_the_guest_sees_it(read):
    flavor = Flavor(id="1", name="f", vcpus=1, memory_mb=64, root_gb=1, ephemeral_gb=1, swap_mb=64)
    instance = server(flavor=flavor, block_devices=(volume(), volume(id="c", device_name="/dev/vdx")))

    mapping = read("/latest/meta-data/block-device-mapping/", instance).split("\n")

    assert {name: read(f"/latest/meta-data/block-device-mapping/{name}", instance) for name in mapping} == {
        "ami": "vda",
        "root": "/dev/vda",
        "ebs0": "/dev/vdb",
        "ebs1": "/dev/vdx",
        "ephemeral0": "/dev/vdc",
        "swap": "/dev/vdd",
    }


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/openstack/1999-01-01/",
        "/openstack/latest/meta_data.json/uuid",
        "/latest/meta-data/public-keys/1/",
        "/latest/meta-data/public-keys/0/_name",
        "/latest/meta-data/instance-id/deeper",
        "/openstack/content/0000",
        "/latest/meta-data/../../openstack",
    ],
)
def test_nothing_else_is_there(read, path):
    with pytest.raises(NoSuchDocument):
        read(path)


def test_a_config_drive_is_the_same_documents_as_files(tmp_path):
    instance, options = server(), conf(tmp_path)
    served = documents.build(instance, options)

    drive = documents.config_drive_files(instance, options, {"/etc/motd": b"hello"})

    names = ("network_data.json", "vendor_data.json", "vendor_data2.json", "user_data")
    for name in names:
        assert drive[f"openstack/latest/{name}"] == served.read(f"/openstack/latest/{name}")
    assert json.loads(drive["openstack/latest/meta_data.json"])["uuid"] == instance.uuid
    assert drive["openstack/content/0000"] == b"hello"
    assert drive["ec2/latest/user-data"] == b"#!/bin/sh\necho hello\n"
    assert json.loads(drive["ec2/2009-04-04/meta-data.json"])["instance-id"] == "i-00000014"
    assert all(isinstance(content, bytes) for content in drive.values())


def test_a_config_drive_holds_no_password_and_no_old_versions_of_ec2(tmp_path):
    drive = documents.config_drive_files(server(system_metadata={"password": "secret"}), conf(tmp_path))

    assert not [path for path in drive if path.endswith("/password")]
    assert {path.split("/")[1] for path in drive if path.startswith("ec2/")} == {"2009-04-04", "latest"}
    assert {path.split("/")[1] for path in drive if path.startswith("openstack/")} == {*OPENSTACK_VERSIONS, "latest"}


def test_the_administrators_password_is_on_the_config_drive_alone(tmp_path):
    drive = documents.config_drive_files(server(), conf(tmp_path), admin_password="word")
    served = documents.build(server(), conf(tmp_path))

    assert json.loads(drive["openstack/latest/meta_data.json"])["admin_pass"] == "word"
    assert "admin_pass" not in json.loads(served.read("/openstack/latest/meta_data.json"))


def test_an_operator_may_want_old_versions_of_ec2_on_the_drive(tmp_path):
    drive = documents.config_drive_files(server(), conf(tmp_path, "[api]\nconfig_drive_skip_versions =\n"))

    assert "ec2/1.0/meta-data.json" in drive
