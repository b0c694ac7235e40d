"""Builders of hosts and requests with good defaults."""

import datetime
import itertools

import pytest

from nova import conf as configuration
from nova.clients.placement.answers import Room
from nova.scheduler import filters
from nova.scheduler.host_candidate import HostCandidate
from nova.structs.flavor import Flavor
from nova.structs.guest import NodeState
from nova.structs.host import Aggregate, HostLoad, HostState
from nova.structs.image import Image
from nova.structs.schedule import PlacementRequest

_numbers = itertools.count(1)


def build_aggregate(**metadata) -> Aggregate:
    number = next(_numbers)
    return Aggregate(
        id=number,
        uuid=f"aggregate-{number}",
        name=f"aggregate-{number}",
        created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        metadata=metadata,
    )


def build_host(name: str = "host-1", **fields) -> HostCandidate:
    """A host with plenty of room; fields are those of its state, its node, and of the candidate."""
    free = {"VCPU": fields.pop("free_vcpus", 8), "MEMORY_MB": fields.pop("free_mb", 4096), "DISK_GB": 50}
    load = fields.pop("load", None)
    node_fields = {key: fields.pop(key) for key in list(fields) if key in NodeState.__struct_fields__}
    node = NodeState(
        **{
            "hypervisor_hostname": f"{name}.example.org",
            "hypervisor_type": "QEMU",
            "hypervisor_version": 7002001,
            "host_ip": "192.0.2.10",
            "vcpus": 8,
            "memory_mb": 8192,
            "disk_gb": 100,
            "supported_instances": (("x86_64", "qemu", "hvm"), ("x86_64", "kvm", "hvm"), ("i686", "qemu", "hvm")),
            "cpu_info": {"arch": "x86_64", "features": ["aes", "avx", "mmx"], "topology": {"cores": 4}},
            **node_fields,
        }
    )
    state = HostState(
        **{
            "host": name,
            "node": node.hypervisor_hostname,
            "provider_uuid": f"provider-of-{name}",
            "zone": "nova",
            "state": node,
            **fields,
        }
    )
    room = {kind: Room(capacity=amount + 4, used=4) for kind, amount in free.items()}
    return HostCandidate(state, {state.provider_uuid: {"VCPU": 1}}, room, HostLoad(**load) if load else None)


def build_request(**fields) -> PlacementRequest:
    """A request for a small server; flavor and image may be given by what matters of them."""
    specs = fields.pop("extra_specs", {})
    flavor = Flavor(id="1", name=fields.pop("flavor_name", "m1.tiny"), vcpus=1, memory_mb=512, extra_specs=specs)
    properties = fields.pop("image_properties", None)
    image = Image(id=fields.pop("image_id", "image-1"), properties=properties or {})
    return PlacementRequest(
        **{
            "instance_id": "server-1",
            "project_id": "project-1",
            "user_id": "user-1",
            "flavor": flavor,
            "image": image,
            "resources": flavor.resources(),
            **fields,
        }
    )


@pytest.fixture
def a_host():
    return build_host


@pytest.fixture
def a_request():
    return build_request


@pytest.fixture
def an_aggregate():
    return build_aggregate


@pytest.fixture
def conf():
    return configuration.load([], [])


@pytest.fixture
def verdict(conf):
    """Asks one filter about one host: None when the host passes, else the reason in words."""

    def ask(name: str, request: PlacementRequest, host: HostCandidate, **options) -> str | None:
        for option, value in options.items():
            conf.set_override(option, value, group="filter_scheduler")
        check = filters.BUILT_IN[name](conf).check(request)
        refusal = check(host) if check else None
        return str(refusal) if refusal else None

    return ask
