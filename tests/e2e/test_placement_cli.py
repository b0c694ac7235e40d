"""osc-placement drives Placement from end to end: providers, inventories, traits, allocations, candidates."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

VERSION = ("--os-placement-api-version", "1.39")


class Names:
    """What one test makes; the cloud may be used by others at the same time."""

    def __init__(self) -> None:
        mark = uuid.uuid4().hex[:8]
        self.host, self.device, self.consumer, self.aggregate = (str(uuid.uuid4()) for _ in range(4))
        self.host_name, self.device_name = f"cli-host-{mark}", f"cli-device-{mark}"
        self.trait, self.resource_class = f"CUSTOM_CLI_{mark.upper()}", f"CUSTOM_CLI_CARD_{mark.upper()}"


@pytest.fixture
def names(cloud: Any) -> Iterator[Names]:
    made = Names()
    yield made
    for command in (
        ("resource", "provider", "allocation", "delete", made.consumer),
        ("resource", "provider", "delete", made.device),
        ("resource", "provider", "delete", made.host),
        ("trait", "delete", made.trait),
        ("resource", "class", "delete", made.resource_class),
    ):
        cloud.run(*VERSION, *command)


def test_operator_describes_a_host_and_claims_from_it(cloud: Any, names: Names) -> None:
    def show(*arguments: str) -> Any:
        return cloud.openstack(*VERSION, *arguments)

    cloud.run(*VERSION, "resource", "class", "create", names.resource_class)
    cloud.run(*VERSION, "trait", "create", names.trait)
    created = show("resource", "provider", "create", "--uuid", names.host, names.host_name)
    child = show(
        "resource", "provider", "create", "--uuid", names.device, "--parent-provider", names.host, names.device_name
    )
    assert created["name"] == names.host_name
    assert child["root_provider_uuid"] == names.host

    show(
        "resource", "provider", "inventory", "set", names.host, "--resource", "VCPU=8", "--resource", "VCPU:max_unit=4"
    )
    show("resource", "provider", "inventory", "set", names.device, "--resource", f"{names.resource_class}=2")
    show("resource", "provider", "trait", "set", "--trait", names.trait, names.host)
    generation = show("resource", "provider", "show", names.host)["generation"]
    show(
        *("resource", "provider", "aggregate", "set", names.host),
        *("--aggregate", names.aggregate, "--generation", str(generation)),
    )
    inventory = show("resource", "provider", "inventory", "list", names.host)
    assert [(row["resource_class"], row["total"], row["max_unit"]) for row in inventory] == [("VCPU", 8, 4)]

    asked = ("--resource", "VCPU=2", "--resource", f"{names.resource_class}=1", "--required", names.trait)
    candidates = show("allocation", "candidate", "list", *asked[:2], *asked[4:], "--member-of", names.aggregate)
    assert {row["resource provider"] for row in candidates} == {names.host}

    show(
        *("resource", "provider", "allocation", "set", names.consumer),
        *("--allocation", f"rp={names.host},VCPU=2", "--allocation", f"rp={names.device},{names.resource_class}=1"),
        *("--project-id", "cli-project", "--user-id", "cli-user", "--consumer-type", "INSTANCE"),
    )
    held = show("resource", "provider", "allocation", "show", names.consumer)
    assert {row["resource_provider"] for row in held} == {names.host, names.device}
    usage = show("resource", "provider", "usage", "show", names.host)
    assert [(row["resource_class"], row["usage"]) for row in usage] == [("VCPU", 2)]

    # Two of eight are taken and four may be had at once, so four fit and a second four do not.
    listed = show("resource", "provider", "list", "--resource", "VCPU=4", "--in-tree", names.device)
    assert [row["uuid"] for row in listed] == [names.host]
    with pytest.raises(Exception, match=r"capacity|constraints"):
        show(
            *("resource", "provider", "allocation", "set", str(uuid.uuid4())),
            *("--allocation", f"rp={names.device},{names.resource_class}=2"),
            *("--project-id", "cli-project", "--user-id", "cli-user", "--consumer-type", "INSTANCE"),
        )
