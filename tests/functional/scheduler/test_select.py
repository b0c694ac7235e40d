"""A scheduler on the real Placement service chooses hosts, claims them, and says why."""

from nova.structs.guest import Inventory
from nova.structs.image import Image
from nova.structs.schedule import GroupView


def test_server_gets_the_emptiest_host_and_its_room(cloud):
    cloud.add_host("small", memory_mb=2048)
    cloud.add_host("large", memory_mb=8192)

    decision = cloud.select(vcpus=2, memory_mb=1024, disk_gb=10)

    assert decision.host == "large"
    assert decision.node == "large.example.org"
    assert decision.zone == "nova"
    assert decision.provider_uuid == cloud.hosts["large"].provider_uuid
    assert cloud.used("large") == {"VCPU": 2, "MEMORY_MB": 1024, "DISK_GB": 10}
    assert cloud.used("small") == {}


def test_servers_spread_over_equal_hosts(cloud):
    for name in ("a", "b", "c"):
        cloud.add_host(name)

    hosts = {cloud.select().host for _ in range(3)}

    assert hosts == {"a", "b", "c"}


def test_alternates_are_the_next_best_hosts(cloud):
    for number in range(5):
        cloud.add_host(f"host-{number}", memory_mb=8192 - number * 1024)

    decision = cloud.select()

    assert decision.host == "host-0"
    assert decision.alternates == ("host-1", "host-2")


def test_no_valid_host_says_what_was_missing_without_naming_hosts(cloud):
    cloud.add_host("a", memory_mb=1024)
    cloud.add_host("b", memory_mb=1024)
    cloud.add_host("c", is_disabled=True, disabled_reason="its fan is broken")

    decision = cloud.select(memory_mb=2048)

    assert decision.host is None
    assert decision.reason == "3 hosts: 2 lack MEMORY_MB (needs 2048), 1 is disabled."


def test_administrators_can_read_why_each_host_was_dropped(cloud):
    cloud.add_host("a", vcpus=1, memory_mb=1024)
    cloud.add_host("b", is_disabled=True, disabled_reason="its fan is broken")
    cloud.add_host("c", is_up=False)

    decision = cloud.select(vcpus=2, memory_mb=2048)

    dropped = {(stage.name, one.host): one.reason for stage in decision.stages for one in stage.dropped}
    in_placement = dropped.pop(("Placement", "a"))
    assert in_placement.startswith("lacks MEMORY_MB (needs 2048) and VCPU (needs 2): ")
    assert "2048 asked, 1024 of 1024 free" in in_placement
    assert dropped == {
        ("ComputeFilter", "b"): "is disabled: its fan is broken",
        ("ComputeFilter", "c"): "is down",
    }
    counts = [(stage.name, stage.before, stage.after) for stage in decision.stages]
    assert counts[0] == ("Placement", 3, 2)
    assert counts[-1] == ("ComputeFilter", 2, 0)


def test_missing_and_forbidden_traits_are_named(cloud):
    cloud.add_host("a")
    cloud.add_host("b", traits=["HW_CPU_X86_AVX", "CUSTOM_OLD"])

    decision = cloud.select(required_traits=("HW_CPU_X86_AVX",), forbidden_traits=("CUSTOM_OLD",))

    assert decision.host is None
    assert decision.reason == "2 hosts: 1 lacks trait HW_CPU_X86_AVX, 1 has forbidden trait CUSTOM_OLD."


def test_trait_nobody_knows_is_the_reason(cloud):
    cloud.add_host("a")

    decision = cloud.select(required_traits=("CUSTOM_UNHEARD_OF",))

    assert decision.host is None
    assert decision.reason.startswith("Placement cannot answer the request: No such trait")
    assert "CUSTOM_UNHEARD_OF" in decision.reason


def test_cloud_without_hosts_says_so(cloud):
    decision = cloud.select()

    assert decision.host is None
    assert decision.reason == "There are no hosts."


def test_dry_run_decides_and_claims_nothing(cloud):
    cloud.add_host("a", memory_mb=1024)
    cloud.add_host("b", memory_mb=8192)

    decision = cloud.select(memory_mb=2048, is_dry_run=True)

    assert decision.host == "b"
    assert decision.stages[0].dropped[0].reason.startswith("lacks MEMORY_MB (needs 2048)")
    assert cloud.used("b") == {}


def test_each_weighers_part_in_the_choice_is_recorded(cloud):
    cloud.add_host("a", vcpus=4, memory_mb=8192)
    cloud.add_host("b", vcpus=8, memory_mb=2048)

    decision = cloud.select(is_dry_run=True)

    weights = {one.host: one.weights for one in decision.weighed}
    assert weights == {"a": {"RAMWeigher": 1.0, "CPUWeigher": 0.0}, "b": {"RAMWeigher": 0.0, "CPUWeigher": 1.0}}


def test_host_the_request_insists_on_is_the_only_one_asked(cloud):
    cloud.add_host("small", memory_mb=1024)
    cloud.add_host("large")

    decision = cloud.select(only_host="small")
    refused = cloud.select(only_node="small.example.org", memory_mb=4096)
    unknown = cloud.select(only_host="nowhere")

    assert decision.host == "small"
    assert decision.alternates == ()
    assert refused.reason == "1 host: 1 lacks MEMORY_MB (needs 4096)."
    assert unknown.reason == "The host asked for does not exist."


def test_server_goes_to_its_zone(cloud):
    cloud.add_host("a", zone="west")
    cloud.add_host("b", zone="east", memory_mb=2048)

    decision = cloud.select(zone="east")
    nowhere = cloud.select(zone="north")

    assert (decision.host, decision.zone) == ("b", "east")
    assert nowhere.reason == "2 hosts: 2 are outside availability zone north."


def test_host_that_refused_is_not_taken_again(cloud):
    cloud.add_host("a")
    cloud.add_host("b", memory_mb=2048)

    decision = cloud.select(exclude=("a",))
    nobody = cloud.select(exclude=("a", "b"))

    assert decision.host == "b"
    assert nobody.reason == "2 hosts: 2 were tried already."


def test_asking_twice_claims_once(cloud):
    cloud.add_host("a")
    cloud.add_host("b")
    request = cloud.request()

    first = cloud.scheduler.select(request)
    second = cloud.scheduler.select(request)

    assert second.host == first.host
    assert cloud.used("a") == {} or cloud.used("b") == {}


def test_asking_twice_for_the_last_room_gives_the_same_host(cloud):
    cloud.add_host("a", memory_mb=1024)
    request = cloud.request(memory_mb=1024)

    cloud.scheduler.select(request)
    again = cloud.scheduler.select(request)
    other = cloud.select(memory_mb=1024)

    assert again.host == "a"
    assert other.host is None


def test_claim_moves_on_when_the_host_it_was_for_refuses(cloud):
    cloud.add_host("a")
    cloud.add_host("b")
    request = cloud.request()

    first = cloud.scheduler.select(request)
    second = cloud.scheduler.select(cloud.request(instance_id=request.instance_id, exclude=(first.host,)))

    assert {first.host, second.host} == {"a", "b"}
    assert cloud.used(first.host) == {}
    assert cloud.used(second.host)["VCPU"] == 1


def test_server_that_moves_keeps_what_it_holds(cloud):
    cloud.add_host("source", memory_mb=8192)
    cloud.add_host("target", memory_mb=4096)
    request = cloud.request(vcpus=1, memory_mb=512)
    cloud.scheduler.select(request)
    keep = cloud.placement.allocations(request.instance_id).resources

    moving = cloud.request(instance_id=request.instance_id, memory_mb=1024, leaves="source", keep=keep)
    first = cloud.scheduler.select(moving)
    again = cloud.scheduler.select(moving)

    assert (first.host, again.host) == ("target", "target")
    assert cloud.used("source")["MEMORY_MB"] == 512
    assert cloud.used("target")["MEMORY_MB"] == 1024


def test_server_resized_on_its_own_host_holds_both_sizes(cloud):
    cloud.add_host("a")
    request = cloud.request(memory_mb=512)
    cloud.scheduler.select(request)
    keep = cloud.placement.allocations(request.instance_id).resources

    decision = cloud.select(instance_id=request.instance_id, memory_mb=1024, keep=keep)

    assert decision.host == "a"
    assert cloud.used("a")["MEMORY_MB"] == 1536


def test_project_with_aggregates_of_its_own_gets_their_hosts_only(cloud, an_aggregate):
    cloud.conf.set_override("limit_tenants_to_placement_aggregate", True, group="scheduler")
    cloud.add_host("own", memory_mb=2048, aggregates=(an_aggregate(filter_tenant_id_2="p1,p3"),))
    cloud.add_host("common", memory_mb=8192)

    ours = cloud.select(project_id="p1", memory_mb=2048)
    when_full = cloud.select(project_id="p1", memory_mb=2048)
    others = cloud.select(project_id="p2", memory_mb=2048)

    assert ours.host == "own"
    assert when_full.reason == "2 hosts: 1 lacks MEMORY_MB (needs 2048), 1 is in no aggregate of this project."
    assert others.host == "common"


def test_project_without_aggregates_gets_nothing_when_they_are_required(cloud, an_aggregate):
    cloud.conf.set_override("limit_tenants_to_placement_aggregate", True, group="scheduler")
    cloud.conf.set_override("placement_aggregate_required_for_tenants", True, group="scheduler")
    cloud.add_host("a", aggregates=(an_aggregate(filter_tenant_id="p1"),))

    decision = cloud.select(project_id="p2")

    assert decision.reason == "1 host: 1 is in no aggregate of this project."


def test_isolated_aggregates_take_only_servers_that_require_their_traits(cloud, an_aggregate):
    cloud.conf.set_override("enable_isolated_aggregate_filtering", True, group="scheduler")
    special = {"trait:CUSTOM_LICENSED": "required"}
    cloud.add_host("licensed", traits=["CUSTOM_LICENSED"], memory_mb=16384, aggregates=(an_aggregate(**special),))
    cloud.add_host("plain")

    with_license = cloud.select(required_traits=("CUSTOM_LICENSED",))
    without = cloud.select()

    assert with_license.host == "licensed"
    assert without.host == "plain"


def test_host_must_take_the_images_format_when_that_is_asked_for(cloud):
    cloud.conf.set_override("query_placement_for_image_type_support", True, group="scheduler")
    cloud.add_host("raw", memory_mb=16384, traits=["COMPUTE_IMAGE_TYPE_RAW"])
    cloud.add_host("qcow2", traits=["COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_IMAGE_TYPE_QCOW2"])

    decision = cloud.select(image=Image(id="i", disk_format="qcow2"))

    assert decision.host == "qcow2"


def test_host_that_placement_has_not_heard_of_is_told_from_a_full_one(cloud):
    host = cloud.add_host("new")
    cloud.placement.delete_provider(host.provider_uuid)

    decision = cloud.select()

    assert decision.reason == "1 host: 1 is unknown to Placement."


def test_provider_that_is_no_host_is_not_chosen(cloud):
    cloud.add_host("small", memory_mb=1024)
    cloud.placement.set_inventory(
        "11111111-1111-1111-1111-111111111111",
        "somebody-elses",
        {name: Inventory(total=100000) for name in ("VCPU", "MEMORY_MB", "DISK_GB")},
    )

    decision = cloud.select(memory_mb=512)
    too_large = cloud.select(memory_mb=2048)

    assert decision.host == "small"
    assert too_large.reason == "1 host: 1 lacks MEMORY_MB (needs 2048)."


def test_amounts_a_host_does_not_give_at_once_are_no_room(cloud):
    host = cloud.add_host("a")
    cloud.placement.set_inventory(
        host.provider_uuid,
        host.node,
        {
            "VCPU": Inventory(total=8, max_unit=2),
            "MEMORY_MB": Inventory(total=8192),
            "DISK_GB": Inventory(total=100),
        },
    )

    decision = cloud.select(vcpus=4)

    assert decision.reason == "1 host: 1 lacks VCPU (needs 4)."
    assert "at most 2 at once" in decision.stages[0].dropped[0].reason


def test_server_that_takes_nothing_gets_a_host_and_claims_nothing(cloud):
    cloud.add_host("a")
    request = cloud.request(resources={})

    decision = cloud.scheduler.select(request)

    assert decision.host == "a"
    assert cloud.placement.allocations(request.instance_id).resources == {}


def test_members_of_a_group_are_kept_apart_and_together(cloud):
    for name in ("a", "b"):
        cloud.add_host(name)

    apart = cloud.select(group=GroupView(uuid="g", policy="anti-affinity", hosts=("a",)))
    together = cloud.select(group=GroupView(uuid="h", policy="affinity", hosts=("a",)))
    nowhere = cloud.select(group=GroupView(uuid="g", policy="anti-affinity", hosts=("a", "b")))

    assert (apart.host, together.host) == ("b", "a")
    assert nowhere.reason == "2 hosts: 2 hold a member of the server group."


def test_only_the_image_is_judged_when_a_server_stays(cloud):
    cloud.add_host("a", is_disabled=True)
    fields = {"resources": {}, "only_host": "a", "only_image": True, "is_dry_run": True}

    fits = cloud.select(image=Image(id="i", properties={"hw_architecture": "x86_64"}), **fields)
    does_not = cloud.select(image=Image(id="j", properties={"hw_architecture": "aarch64"}), **fields)

    assert fits.host == "a"
    assert does_not.reason == "1 host: 1 cannot run an image for aarch64."


def test_host_must_have_the_devices_an_image_names_when_that_is_asked_for(cloud):
    cloud.conf.set_override("image_metadata_prefilter", True, group="scheduler")
    cloud.add_host("plain", memory_mb=16384)
    cloud.add_host("fitting", traits=["COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_NET_VIF_MODEL_NE2K_PCI"])

    decision = cloud.select(image=Image(id="i", properties={"hw_disk_bus": "scsi", "hw_vif_model": "ne2k-pci"}))
    nowhere = cloud.select(image=Image(id="i", properties={"hw_video_model": "qxl"}))

    assert decision.host == "fitting"
    assert nowhere.reason == "2 hosts: 2 lack trait COMPUTE_GRAPHICS_MODEL_QXL."
