"""A guest with a share: defined, started and stopped with it. The directory stands for one that mount(8) has filled."""

import datetime

import msgspec
import pytest

from nova.structs.instance import PowerState
from nova.structs.share import Share
from nova.virt.libvirt.domain_xml.share import mount_point

NOW = datetime.timedelta()
SHARE = Share(uuid="u", share_id="s", tag="data", export_location="192.0.2.9:/export/s")


@pytest.fixture
def sharing(host):
    """A driver of a host whose guests have their memory in files."""
    driver = host.driver(
        reserved_host_memory_mb=0,
        libvirt__file_backed_memory=1024,
        libvirt__nfs_mount_point_base=str(host.instances.parent / "mnt"),
    )
    driver.start()
    return driver


def test_such_a_host_says_what_it_can(sharing):
    [node] = sharing.nodes()

    assert {"COMPUTE_STORAGE_VIRTIO_FS", "COMPUTE_MEM_BACKING_FILE"} <= set(node.traits)
    assert node.memory_mb == 1024


def test_a_guest_starts_with_its_share_and_without_it(sharing, host, make_spec, wait_for_output):
    spec = make_spec()
    sharing.create(spec)
    wait_for_output(spec.uuid, "guest is up")
    sharing.set_power(spec.uuid, PowerState.SHUTDOWN)
    place = mount_point(str(host.instances.parent / "mnt"), SHARE)
    place.mkdir(parents=True)

    with_share = msgspec.structs.replace(spec, shares=(SHARE,))
    sharing.define_shares(with_share)
    sharing.define_shares(with_share)
    assert sharing.defined_shares(spec.uuid) == {"data"}
    sharing.set_power(spec.uuid, PowerState.RUNNING)

    wait_for_output(spec.uuid, "guest is up", times=2)
    definition = host.virsh("dumpxml", spec.uuid)
    assert definition.count("<filesystem") == 1
    assert f"<source dir='{place}'/>" in definition

    sharing.set_power(spec.uuid, PowerState.SHUTDOWN)
    sharing.define_shares(spec)

    assert sharing.defined_shares(spec.uuid) == frozenset()
    assert "<filesystem" not in host.virsh("dumpxml", spec.uuid)
