"""Each filter, as a table of who passes and why the others do not."""

import pytest

from nova.structs.schedule import GroupView

PASSES = None


@pytest.mark.parametrize(
    "host, expected",
    [
        ({}, PASSES),
        ({"is_up": False}, "is down"),
        ({"is_disabled": True}, "is disabled"),
        ({"is_disabled": True, "disabled_reason": "maintenance"}, "is disabled: maintenance"),
    ],
)
def test_compute_filter_wants_a_host_that_is_up_and_enabled(verdict, a_host, a_request, host, expected):
    assert verdict("ComputeFilter", a_request(), a_host(**host)) == expected


def test_all_hosts_filter_passes_every_host(verdict, a_host, a_request):
    assert verdict("AllHostsFilter", a_request(), a_host(is_up=False)) is PASSES


@pytest.mark.parametrize(
    "wanted, zone, expected",
    [
        (None, "west", PASSES),
        ("west", "west", PASSES),
        ("east,west", "west", PASSES),
        ("east, west", "west", PASSES),
        ("east", "west", "is outside availability zone east: it is in west"),
    ],
)
def test_zone_filter_wants_the_requested_zone(verdict, a_host, a_request, wanted, zone, expected):
    assert verdict("AvailabilityZoneFilter", a_request(zone=wanted), a_host(zone=zone)) == expected


def test_retry_filter_drops_hosts_that_refused_and_the_one_to_leave(verdict, a_host, a_request):
    request = a_request(exclude=("host-1",), leaves="host-2")

    assert verdict("RetryFilter", request, a_host("host-1")) == "was tried already"
    assert verdict("RetryFilter", request, a_host("host-2")) == "is the host the server leaves"
    assert verdict("RetryFilter", request, a_host("host-3")) is PASSES


@pytest.mark.parametrize(
    "request_fields, expected",
    [
        ({}, PASSES),
        ({"same_hosts": ("host-1", "host-2")}, PASSES),
        ({"same_hosts": ("host-2",)}, "does not run the servers named in same_host"),
        ({"hints": {"same_host": ["gone"]}}, "does not run the servers named in same_host"),
    ],
)
def test_same_host_filter_wants_a_host_of_the_named_servers(verdict, a_host, a_request, request_fields, expected):
    assert verdict("SameHostFilter", a_request(**request_fields), a_host("host-1")) == expected


@pytest.mark.parametrize(
    "request_fields, expected",
    [
        ({}, PASSES),
        ({"different_hosts": ("host-2",)}, PASSES),
        ({"different_hosts": ("host-1", "host-2")}, "runs a server named in different_host"),
        ({"hints": {"different_host": ["gone"]}}, PASSES),
    ],
)
def test_different_host_filter_avoids_hosts_of_the_named_servers(verdict, a_host, a_request, request_fields, expected):
    assert verdict("DifferentHostFilter", a_request(**request_fields), a_host("host-1")) == expected


@pytest.mark.parametrize(
    "hints, expected",
    [
        ({}, PASSES),
        ({"cidr": "/24"}, PASSES),
        ({"build_near_host_ip": "192.0.2.200"}, PASSES),
        ({"build_near_host_ip": "192.0.2.200", "cidr": "/24"}, PASSES),
        ({"build_near_host_ip": ["192.0.2.200"], "cidr": ["24"]}, PASSES),
        (
            {"build_near_host_ip": "192.0.2.200", "cidr": "/28"},
            "is outside 192.0.2.192/28: its address is 192.0.2.10",
        ),
        ({"build_near_host_ip": "nonsense"}, "cannot be near nonsense/24, which is no network"),
        ({"build_near_host_ip": "192.0.2.1", "cidr": "/99"}, "cannot be near 192.0.2.1/99, which is no network"),
    ],
)
def test_cidr_filter_wants_a_host_near_an_address(verdict, a_host, a_request, hints, expected):
    assert verdict("SimpleCIDRAffinityFilter", a_request(hints=hints), a_host(host_ip="192.0.2.10")) == expected


@pytest.mark.parametrize(
    "policy, most, members, expected",
    [
        ("anti-affinity", 1, (), PASSES),
        ("anti-affinity", 1, ("host-2",), PASSES),
        ("anti-affinity", 1, ("host-1",), "holds a member of the server group: its policy is anti-affinity"),
        ("anti-affinity", 2, ("host-1", "host-2"), PASSES),
        ("anti-affinity", 2, ("host-1",) * 2, "holds 2 members of the server group: its policy is anti-affinity"),
        ("affinity", 1, ("host-1",), PASSES),
        ("soft-anti-affinity", 1, ("host-1",), PASSES),
    ],
)
def test_anti_affinity_filter_keeps_members_apart(verdict, a_host, a_request, policy, most, members, expected):
    group = GroupView(uuid="g", policy=policy, max_server_per_host=most, hosts=members)

    assert verdict("ServerGroupAntiAffinityFilter", a_request(group=group), a_host("host-1")) == expected


@pytest.mark.parametrize(
    "policy, members, expected",
    [
        ("affinity", (), PASSES),
        ("affinity", ("host-1", "host-1"), PASSES),
        ("affinity", ("host-2",), "does not hold the server group: its policy is affinity"),
        ("anti-affinity", ("host-2",), PASSES),
        ("soft-affinity", ("host-2",), PASSES),
    ],
)
def test_affinity_filter_keeps_members_together(verdict, a_host, a_request, policy, members, expected):
    group = GroupView(uuid="g", policy=policy, hosts=members)

    assert verdict("ServerGroupAffinityFilter", a_request(group=group), a_host("host-1")) == expected


@pytest.mark.parametrize(
    "properties, expected",
    [
        ({}, PASSES),
        ({"hw_architecture": "x86_64"}, PASSES),
        ({"hw_architecture": "amd64"}, PASSES),
        ({"architecture": "i386"}, PASSES),
        ({"hw_architecture": "x86_64", "img_hv_type": "kvm", "hw_vm_mode": "hvm"}, PASSES),
        ({"hypervisor_type": "QEMU", "vm_mode": "hv"}, PASSES),
        ({"img_hv_requested_version": ">=7.2,<8"}, PASSES),
        ({"hypervisor_version_requires": ">=7002001"}, PASSES),
        ({"hw_architecture": "aarch64"}, "cannot run an image for aarch64"),
        ({"hw_architecture": "i686", "img_hv_type": "kvm"}, "cannot run an image for i686 kvm"),
        ({"hw_vm_mode": "xen"}, "cannot run an image for xen"),
        ({"img_hv_type": "vmware"}, "cannot run an image for vmware"),
        ({"img_hv_requested_version": ">=8.0"}, "cannot run an image for >=8.0"),
    ],
)
def test_image_filter_wants_a_host_that_can_run_the_image(verdict, a_host, a_request, properties, expected):
    answer = verdict("ImagePropertiesFilter", a_request(image_properties=properties), a_host())

    assert (answer.partition(":")[0] if answer else answer) == expected


def test_image_without_architecture_gets_the_configured_one(verdict, a_host, a_request):
    arm = {"image_properties_default_architecture": "aarch64"}

    assert verdict("ImagePropertiesFilter", a_request(), a_host(), **arm).startswith("cannot run an image for aarch64")
    assert verdict("ImagePropertiesFilter", a_request(image=None), a_host(), **arm) is PASSES


def test_host_that_tells_nothing_runs_only_images_that_ask_nothing(verdict, a_host, a_request):
    silent = a_host(supported_instances=())

    assert verdict("ImagePropertiesFilter", a_request(), silent) is PASSES
    assert verdict("ImagePropertiesFilter", a_request(image_properties={"hw_vm_mode": "hvm"}), silent) == (
        "cannot run an image for hvm: it runs nothing that it reported"
    )


@pytest.mark.parametrize(
    "extra_specs, expected",
    [
        ({}, PASSES),
        ({"hw:cpu_policy": "dedicated"}, PASSES),
        ({"capabilities:hypervisor_type": "QEMU"}, PASSES),
        ({"capabilities:hypervisor_type": "s== QEMU"}, PASSES),
        ({"hypervisor_type": "s== QEMU"}, PASSES),
        ({"capabilities:free_ram_mb": ">= 4096"}, PASSES),
        ({"capabilities:vcpus_total": "= 8"}, PASSES),
        ({"capabilities:vcpus_used": "<= 4"}, PASSES),
        ({"capabilities:host": "<in> host"}, PASSES),
        ({"capabilities:cpu_info:features": "<in> aes"}, PASSES),
        ({"capabilities:cpu_info:features": "<all-in> aes mmx"}, PASSES),
        ({"capabilities:cpu_info:arch": "<or> aarch64 <or> x86_64"}, PASSES),
        ({"capabilities:cpu_info:topology:cores": "== 4"}, PASSES),
        (
            {"capabilities:free_ram_mb": ">= 5000"},
            "does not meet the flavor's free_ram_mb >= 5000: it has 4096",
        ),
        (
            {"capabilities:cpu_info:arch": "aarch64"},
            "does not meet the flavor's cpu_info:arch aarch64: it has x86_64",
        ),
        (
            {"capabilities:cpu_info:features": "<all-in> aes sse9"},
            "does not meet the flavor's cpu_info:features <all-in> aes sse9: it has ['aes', 'avx', 'mmx']",
        ),
        ({"capabilities:nothing:such": "1"}, "has no nothing:such to compare with the flavor's '1'"),
        ({"plain_key": "1"}, "has no plain_key to compare with the flavor's '1'"),
    ],
)
def test_capabilities_filter_compares_the_host_with_the_flavor(verdict, a_host, a_request, extra_specs, expected):
    request = a_request(extra_specs=extra_specs)

    assert verdict("ComputeCapabilitiesFilter", request, a_host("host-1", free_mb=4096)) == expected


@pytest.mark.parametrize(
    "query, expected",
    [
        (None, PASSES),
        ('[">=", "$free_ram_mb", 1024]', PASSES),
        (['[">=", "$free_ram_mb", 1024]'], PASSES),
        ([">=", "$free_ram_mb", 1024], PASSES),
        ('["and", [">=", "$free_ram_mb", 1024], ["<", "$vcpus_used", 100]]', PASSES),
        ('["or", ["=", "$vcpus_total", 1], ["=", "$vcpus_total", 8]]', PASSES),
        ('["not", ["=", "$hypervisor_hostname", "other"]]', PASSES),
        ('["in", "$hypervisor_type", "QEMU", "KVM"]', PASSES),
        ('["=", "$cpu_info.arch", "x86_64"]', PASSES),
        ('[">", "$free_ram_mb", 999999]', "does not match the hint 'query'"),
        ('[">", "$no_such_thing", 1]', "does not match the hint 'query'"),
        ('["<", "$hypervisor_type", 1]', "does not match the hint 'query'"),
        ("not json", "cannot be asked the hint 'query': it is not JSON"),
        ('{"a": 1}', "cannot be asked the hint 'query': it is not a list"),
        ('["and"]', "cannot be asked the hint 'query': 'and' stands alone"),
        ('["like", 1, 2]', "cannot be asked the hint 'query': it must begin with one of = < > in <= >= not or and"),
        ("[" * 40 + "]" * 40, "cannot be asked the hint 'query': it must begin with one of = < > in <= >= not or and"),
        ('["not",' * 20 + "1" + "]" * 20, "cannot be asked the hint 'query': it is more than 16 levels deep"),
        ("[" * 100_000, "cannot be asked the hint 'query': it is not JSON"),
    ],
)
def test_json_filter_answers_the_users_query(verdict, a_host, a_request, query, expected):
    assert verdict("JsonFilter", a_request(hints={"query": query}), a_host(free_mb=4096)) == expected


@pytest.mark.parametrize(
    "image_id, host, is_exclusive, expected",
    [
        ("special", "vault", True, PASSES),
        ("special", "field", True, "is not among the hosts of isolated images"),
        ("special", "field", False, "is not among the hosts of isolated images"),
        ("common", "field", True, PASSES),
        ("common", "vault", True, "is kept for isolated images"),
        ("common", "vault", False, PASSES),
    ],
)
def test_isolated_hosts_filter_pairs_images_with_hosts(
    verdict, a_host, a_request, image_id, host, is_exclusive, expected
):
    options = {
        "isolated_images": ["special"],
        "isolated_hosts": ["vault"],
        "restrict_isolated_hosts_to_isolated_images": is_exclusive,
    }

    assert verdict("IsolatedHostsFilter", a_request(image_id=image_id), a_host(host), **options) == expected


def test_volume_backed_server_does_not_go_to_an_isolated_host(verdict, a_host, a_request):
    options = {"isolated_images": ["special"], "isolated_hosts": ["vault"]}

    assert verdict("IsolatedHostsFilter", a_request(image=None), a_host("vault"), **options) == (
        "is kept for isolated images"
    )
    assert verdict("IsolatedHostsFilter", a_request(image=None), a_host("field"), **options) is PASSES


@pytest.mark.parametrize(
    "extra_specs, metadata, expected",
    [
        ({}, [], PASSES),
        ({"capabilities:vcpus_total": "8"}, [], PASSES),
        ({"aggregate_instance_extra_specs:ssd": "true"}, [{"ssd": "true"}], PASSES),
        ({"ssd": "true"}, [{"ssd": "true"}], PASSES),
        ({"aggregate_instance_extra_specs:ssd": "true"}, [{"ssd": "false"}, {"ssd": "true"}], PASSES),
        ({"aggregate_instance_extra_specs:kind": "b"}, [{"kind": "a,b"}], PASSES),
        ({"aggregate_instance_extra_specs:gen": ">= 3"}, [{"gen": "4"}], PASSES),
        (
            {"aggregate_instance_extra_specs:ssd": "true"},
            [{"ssd": "false"}],
            "is in no aggregate with the flavor's ssd true: they say false",
        ),
        (
            {"aggregate_instance_extra_specs:ssd": "true"},
            [{"other": "true"}],
            "is in no aggregate with the flavor's ssd true: they say nothing of it",
        ),
        (
            {"aggregate_instance_extra_specs:ssd": "true"},
            [],
            "is in no aggregate with the flavor's ssd true: they say nothing of it",
        ),
    ],
)
def test_aggregates_must_have_what_the_flavor_asks(
    verdict, a_host, a_request, an_aggregate, extra_specs, metadata, expected
):
    host = a_host(aggregates=tuple(an_aggregate(**one) for one in metadata))

    assert verdict("AggregateInstanceExtraSpecsFilter", a_request(extra_specs=extra_specs), host) == expected


@pytest.mark.parametrize(
    "properties, metadata, options, expected",
    [
        ({"os_distro": "windows"}, {"os_distro": "windows"}, {}, PASSES),
        ({"os_distro": "windows"}, {"os_distro": "linux,windows"}, {}, PASSES),
        ({"os_distro": "windows"}, {}, {}, PASSES),
        ({}, {"os_distro": "windows"}, {}, PASSES),
        ({"os_distro": "debian"}, {"os_distro": "windows"}, {}, "is kept for images with another os_distro"),
        (
            {"os_distro": "debian", "lic.kind": "a"},
            {"os_distro": "windows", "lic.kind": "a"},
            {"aggregate_image_properties_isolation_namespace": "lic"},
            PASSES,
        ),
        (
            {"lic-kind": "b"},
            {"lic-kind": "a"},
            {
                "aggregate_image_properties_isolation_namespace": "lic",
                "aggregate_image_properties_isolation_separator": "-",
            },
            "is kept for images with another lic-kind",
        ),
    ],
)
def test_aggregates_may_keep_hosts_for_images(
    verdict, a_host, a_request, an_aggregate, properties, metadata, options, expected
):
    host = a_host(aggregates=(an_aggregate(**metadata),))
    request = a_request(image_properties=properties)

    answer = verdict("AggregateImagePropertiesIsolation", request, host, **options)

    assert (answer.partition(":")[0] if answer else answer) == expected


@pytest.mark.parametrize(
    "metadata, expected",
    [
        ([], PASSES),
        ([{"other": "x"}], PASSES),
        ([{"filter_tenant_id": "project-1"}], PASSES),
        ([{"filter_tenant_id": "project-2, project-1"}], PASSES),
        ([{"filter_tenant_id": "project-2"}, {"filter_tenant_id": "project-1"}], PASSES),
        ([{"filter_tenant_id": "project-2"}], "is kept for other projects"),
    ],
)
def test_aggregates_may_keep_hosts_for_projects(verdict, a_host, a_request, an_aggregate, metadata, expected):
    host = a_host(aggregates=tuple(an_aggregate(**one) for one in metadata))

    assert verdict("AggregateMultiTenancyIsolation", a_request(project_id="project-1"), host) == expected


@pytest.mark.parametrize(
    "metadata, expected",
    [
        ({}, PASSES),
        ({"instance_type": "m1.tiny"}, PASSES),
        ({"instance_type": "m1.nano,m1.tiny"}, PASSES),
        ({"instance_type": "m1.nano"}, "is kept for other flavors: m1.nano"),
    ],
)
def test_aggregates_may_keep_hosts_for_flavors(verdict, a_host, a_request, an_aggregate, metadata, expected):
    host = a_host(aggregates=(an_aggregate(**metadata),))

    assert verdict("AggregateTypeAffinityFilter", a_request(flavor_name="m1.tiny"), host) == expected


@pytest.mark.parametrize(
    "name, load, metadata, expected",
    [
        ("NumInstancesFilter", {"instances": 4}, {}, PASSES),
        ("NumInstancesFilter", {"instances": 5}, {}, "has no place for another server: 5 of 5"),
        ("NumInstancesFilter", {"instances": 4}, {"max_instances_per_host": "3"}, PASSES),
        (
            "AggregateNumInstancesFilter",
            {"instances": 4},
            {"max_instances_per_host": "3"},
            "has no place for another server: 4 of 3",
        ),
        ("AggregateNumInstancesFilter", {"instances": 9}, {"max_instances_per_host": "10"}, PASSES),
        (
            "AggregateNumInstancesFilter",
            {"instances": 5},
            {"max_instances_per_host": "many"},
            "has no place for another server: 5 of 5",
        ),
        ("IoOpsFilter", {"io_ops": 1}, {}, PASSES),
        ("IoOpsFilter", {"io_ops": 2}, {}, "is busy with servers in work: 2 of 2"),
        ("AggregateIoOpsFilter", {"io_ops": 2}, {"max_io_ops_per_host": "3"}, PASSES),
    ],
)
def test_busy_hosts_are_dropped(verdict, a_host, a_request, an_aggregate, name, load, metadata, expected):
    host = a_host(load=load, aggregates=(an_aggregate(**metadata),))
    limits = {"max_instances_per_host": 5, "max_io_ops_per_host": 2}

    assert verdict(name, a_request(), host, **limits) == expected


def test_host_nobody_counted_servers_on_has_none(verdict, a_host, a_request):
    assert verdict("NumInstancesFilter", a_request(), a_host(load=None)) is PASSES
