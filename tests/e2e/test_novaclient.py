"""python-novaclient, as Horizon and older programs use it: at the first version and at the newest it knows.

The tests of one version share one server and run in order; each leaves it ACTIVE.
"""

import datetime

import novaclient
import pytest
from novaclient import client, exceptions

from tests.e2e.running_cloud import unused_name

pytestmark = pytest.mark.mode("embedded")
OLDEST, NEWEST = "2.1", novaclient.API_MAX_VERSION.get_string()
SCRIPT = "#!/bin/sh\necho walked by novaclient\n"


@pytest.fixture(scope="module", params=[OLDEST, NEWEST])
def version(request):
    return request.param


@pytest.fixture(scope="module")
def nova(cloud, version):
    return client.Client(version, session=cloud.sdk().session, region_name="RegionOne")


@pytest.fixture(scope="module")
def image(cloud):
    return cloud.sdk().image.find_image("tiny").id


@pytest.fixture(scope="module")
def nics(cloud):
    return [{"net-id": cloud.sdk().network.find_network("private").id}]


@pytest.fixture(scope="module")
def group(nova, version):
    name = unused_name("group")
    made = (
        nova.server_groups.create(name, ["anti-affinity"])
        if version == OLDEST
        else nova.server_groups.create(name, "anti-affinity", rules={"max_server_per_host": 2})
    )
    yield made
    nova.server_groups.delete(made.id)


@pytest.fixture(scope="module")
def server(cloud, nova, version, image, nics, group):
    security_group = cloud.sdk().network.create_security_group(name=unused_name("open"))
    made = nova.servers.create(
        unused_name("walk"),
        image,
        "1",
        meta={"purpose": "walk"},
        userdata=SCRIPT,
        key_name="k1",
        config_drive=True,
        nics=nics,
        security_groups=[security_group.name],
        scheduler_hints={"group": group.id},
        **({} if version == OLDEST else {"tags": ["walk"], "description": "a walk", "hostname": "walker"}),
    )
    rests(cloud, nova, made, "ACTIVE")
    yield made
    nova.servers.delete(made)
    assert cloud.wait_for(lambda: is_gone(nova, made)), "the server is still there"
    cloud.sdk().network.delete_security_group(security_group)
    assert cloud.leftovers() == {}


def test_a_server_has_what_it_was_created_with(cloud, nova, version, server, group):
    shown = nova.servers.get(server.id)

    assert shown.metadata == {"purpose": "walk"}
    assert shown.key_name == "k1"
    assert shown.config_drive == "True"
    assert shown.networks["private"]
    assert server.id in nova.server_groups.get(group.id).members
    assert [one.name for one in nova.servers.list_security_group(server)] == [
        one["name"] for one in shown.security_groups
    ]
    log = cloud.wait_for_console(server.id, " login:")
    assert "tiny: user data: walked by novaclient" in log
    assert log.rstrip() == nova.servers.get_console_output(server).rstrip()
    assert nova.servers.get_console_output(server, length=2).count("\n") <= 2
    if version != OLDEST:
        assert (shown.tags, shown.description) == (["walk"], "a walk")
        assert getattr(shown, "OS-EXT-SRV-ATTR:hostname") == "walker"
        assert "tiny: hostname: walker" in log


def test_servers_are_listed_with_filters_and_in_pages(nova, server):
    oldest_first = {"sort_keys": ["created_at"], "sort_dirs": ["asc"]}
    everyone = [one.id for one in nova.servers.list(**oldest_first)]
    by_name = nova.servers.list(search_opts={"name": server.name})
    in_brief = nova.servers.list(detailed=False, search_opts={"name": server.name})
    first_page = nova.servers.list(limit=1, **oldest_first)
    second_page = nova.servers.list(limit=1, marker=first_page[0].id, **oldest_first)
    of_all_projects = nova.servers.list(search_opts={"all_tenants": 1, "status": "ACTIVE", "flavor": "1"})

    assert [one.id for one in by_name] == [one.id for one in in_brief] == [server.id]
    assert [one.id for one in [*first_page, *second_page]] == everyone[:2]
    assert server.id in {one.id for one in of_all_projects}
    assert nova.servers.list(search_opts={"status": "PAUSED"}) == []
    assert nova.servers.find(name=server.name).id == server.id


def test_a_server_is_renamed_and_described(cloud, nova, version, server):
    name = unused_name("renamed")

    nova.servers.update(server, name=name, **({} if version == OLDEST else {"description": "renamed"}))
    nova.servers.set_meta(server, {"colour": "blue", "size": "s"})
    nova.servers.set_meta_item(server, "size", "m")
    nova.servers.delete_meta(server, ["purpose"])

    shown = nova.servers.get(server)
    assert shown.name == name
    assert shown.metadata == {"colour": "blue", "size": "m"}
    assert nova.servers.list_meta(server) == {"metadata": shown.metadata}
    assert nova.servers.get_meta(server, "size") == {"meta": {"size": "m"}}
    if version != OLDEST:
        server.add_tag("late")
        server.delete_tag("walk")
        assert server.tag_list() == ["late"]
        assert [one.id for one in nova.servers.list(search_opts={"tags": "late"})] == [server.id]
        server.set_tags(["a", "b"])
        server.delete_all_tags()
        assert server.tag_list() == []


def test_a_locked_server_is_left_alone(nova, version, server):
    nova.servers.lock(server, **({} if version == OLDEST else {"reason": "walking"}))

    if version != OLDEST:
        assert (nova.servers.get(server).locked, nova.servers.get(server).locked_reason) == (True, "walking")
        assert [one.id for one in nova.servers.list(search_opts={"locked": True})] == [server.id]
    nova.servers.unlock(server)


def test_power_states_come_and_go(cloud, nova, server):
    for action, status in (
        (nova.servers.stop, "SHUTOFF"),
        (nova.servers.start, "ACTIVE"),
        (nova.servers.pause, "PAUSED"),
        (nova.servers.unpause, "ACTIVE"),
        (nova.servers.suspend, "SUSPENDED"),
        (nova.servers.resume, "ACTIVE"),
    ):
        action(server)
        assert rests(cloud, nova, server, status).status == status
    for kind in ("HARD", "SOFT"):
        boots = boots_so_far(cloud, server)
        nova.servers.reboot(server, reboot_type=kind)
        assert rests(cloud, nova, server, "ACTIVE").status == "ACTIVE"
        assert cloud.wait_for(lambda boots=boots: boots_so_far(cloud, server) > boots), kind


def test_a_server_is_rescued_and_rebuilt(cloud, nova, version, server, image):
    answer = nova.servers.rescue(server, password="s3cret")[1]
    assert answer["adminPass"] == "s3cret"
    assert rests(cloud, nova, server, "RESCUE").status == "RESCUE"
    nova.servers.unrescue(server)
    assert rests(cloud, nova, server, "ACTIVE").status == "ACTIVE"

    rebuilt = nova.servers.rebuild(server, image, meta={"rebuilt": "yes"})

    assert rests(cloud, nova, server, "ACTIVE").metadata == {"rebuilt": "yes"}
    assert rebuilt.adminPass
    assert "tiny: boot 1 of this disk" in cloud.wait_for_console(server.id, "tiny: boot 1 of this disk")


def test_a_server_is_resized_there_and_back_and_there_again(cloud, nova, version, server):
    bigger = nova.flavors.find(name="m1.small")
    # A guest that boots hears no power button.
    cloud.wait_for_console(server.id, " login:")

    nova.servers.resize(server, bigger)
    rests(cloud, nova, server, "VERIFY_RESIZE")
    nova.servers.revert_resize(server)
    assert flavor_of(rests(cloud, nova, server, "ACTIVE")) in ("1", "m1.tiny")

    nova.servers.resize(server, bigger)
    rests(cloud, nova, server, "VERIFY_RESIZE")
    nova.servers.confirm_resize(server)
    assert flavor_of(rests(cloud, nova, server, "ACTIVE")) in (bigger.id, bigger.name)
    resizes = nova.migrations.list(**({} if version == OLDEST else {"instance_uuid": server.id}))
    assert {"confirmed", "reverted"} <= {one.status for one in resizes if one.instance_uuid == server.id}


def test_a_snapshot_boots(cloud, nova, server, nics):
    name = unused_name("snapshot")
    snapshot = nova.servers.create_image(server, name, metadata={"from": "a walk"})
    assert cloud.wait_for(lambda: cloud.sdk().image.get_image(snapshot).status == "active")
    assert nova.glance.find_image(name).id == snapshot
    rests(cloud, nova, server, "ACTIVE")

    copy = nova.servers.create(unused_name("copy"), snapshot, "2", nics=nics)

    try:
        cloud.wait_for_console(copy.id, "of this disk")
        assert boots_so_far(cloud, copy) > 1
    finally:
        nova.servers.force_delete(copy)
        assert cloud.wait_for(lambda: is_gone(nova, copy))
        cloud.sdk().image.delete_image(snapshot)


def test_a_server_is_shelved_and_comes_back(cloud, nova, server):
    nova.servers.shelve(server)
    assert rests(cloud, nova, server, "SHELVED_OFFLOADED").status == "SHELVED_OFFLOADED"

    nova.servers.unshelve(server)

    assert rests(cloud, nova, server, "ACTIVE").status == "ACTIVE"


def test_consoles_are_offered(nova, version, server):
    envelope = "console" if version == OLDEST else "remote_console"

    for kind in ("novnc", "spice-html5"):
        assert "token" in server.get_console_url(kind)[envelope]["url"]


def test_interfaces_addresses_and_security_groups_are_changed(cloud, nova, server):
    network = cloud.sdk().network
    private = network.find_network("private")
    before = {one.port_id for one in nova.servers.interface_list(server)}
    # A guest that boots lets no device go.
    cloud.wait_for_console(server.id, " login:")

    added = nova.servers.interface_attach(server, None, private.id, None)
    assert {one.port_id for one in nova.servers.interface_list(server)} == before | {added.port_id}
    nova.servers.interface_detach(server, added.port_id)
    assert cloud.wait_for(lambda: {one.port_id for one in nova.servers.interface_list(server)} == before)

    group = network.create_security_group(name=unused_name("extra"))
    nova.servers.add_security_group(server, group.name)
    assert group.name in {one.name for one in nova.servers.list_security_group(server)}
    nova.servers.remove_security_group(server, group.name)
    assert group.name not in {one.name for one in nova.servers.list_security_group(server)}
    network.delete_security_group(group)


def test_a_floating_address_is_shown_with_the_server(cloud, nova, server):
    port = nova.servers.interface_list(server)[0].port_id
    address = cloud.sdk().network.create_ip(floating_network_id=cloud.external_network().id, port_id=port)

    shown = cloud.wait_for(lambda: address.floating_ip_address in nova.servers.get(server).networks["private"])

    cloud.sdk().network.delete_ip(address)
    assert shown
    assert cloud.wait_for(lambda: address.floating_ip_address not in nova.servers.get(server).networks["private"])


def test_what_was_done_to_a_server_can_be_read(nova, version, server):
    actions = nova.instance_action.list(server)
    create = nova.instance_action.get(server, actions[-1].request_id)

    assert create.action == "create"
    assert {event["result"] for event in create.events} == {"Success"}
    assert {"stop", "start", "pause", "rebuild", "resize", "shelve", "createImage"} <= {one.action for one in actions}
    if version != OLDEST:
        page = nova.instance_action.list(server, limit=2)
        rest = nova.instance_action.list(server, marker=page[-1].request_id)
        assert [one.request_id for one in [*page, *rest]] == [one.request_id for one in actions]


def test_flavors_and_their_extra_specs(cloud, nova, version):
    flavor = nova.flavors.create(unused_name("flavor"), ram=64, vcpus=1, disk=1, is_public=False)
    flavor.set_keys({"hw:watchdog_action": "reset"})

    assert flavor.get_keys() == {"hw:watchdog_action": "reset"}
    flavor.unset_keys(["hw:watchdog_action"])
    assert flavor.get_keys() == {}
    project = cloud.sdk().identity.find_project("demo").id
    nova.flavor_access.add_tenant_access(flavor, project)
    assert project in {one.tenant_id for one in nova.flavor_access.list(flavor=flavor)}
    nova.flavor_access.remove_tenant_access(flavor, project)
    if version != OLDEST:
        flavor.update(description="for walks")
        assert nova.flavors.get(flavor.id).description == "for walks"
    assert flavor.id in {one.id for one in nova.flavors.list(is_public=None)}
    flavor.delete()
    assert [one.name for one in nova.flavors.list(min_ram=1024)] == ["m1.large"]
    assert len(nova.flavors.list(limit=2)) == 2


def test_key_pairs(cloud, nova):
    public = nova.keypairs.get("k1").public_key
    pair = nova.keypairs.create(unused_name("key"), public_key=public)

    assert pair.fingerprint == nova.keypairs.get("k1").fingerprint
    assert {pair.name, "k1"} <= {one.name for one in nova.keypairs.list()}
    nova.keypairs.delete(pair.name)
    with pytest.raises(exceptions.NotFound):
        nova.keypairs.get(pair.name)


def test_limits_quotas_and_usage(nova, server):
    project = nova.client.session.get_project_id()
    limits = {one.name: one.value for one in nova.limits.get().absolute}
    quotas = nova.quotas.get(project, detail=True)
    today = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    usage = nova.usage.get(project, today - datetime.timedelta(days=1), today + datetime.timedelta(days=1))
    of_all = nova.usage.list(today - datetime.timedelta(days=1), today + datetime.timedelta(days=1), detailed=True)

    assert limits["totalInstancesUsed"] == quotas.instances["in_use"] == len(nova.servers.list())
    assert limits["maxTotalInstances"] == quotas.instances["limit"] == nova.quotas.defaults(project).instances
    assert server.id in {one["instance_id"] for one in usage.server_usages}
    assert project in {one.tenant_id for one in of_all}
    nova.quotas.update(project, instances=17)
    assert nova.quotas.get(project).instances == 17
    nova.quotas.delete(project)
    assert nova.quotas.get(project).instances == limits["maxTotalInstances"]


def test_an_operator_sees_hosts_and_services(cloud, nova, version, server):
    hypervisor = nova.hypervisors.list()[0]
    services = nova.services.list(binary="nova-compute")
    zones = nova.availability_zones.list(detailed=True)

    assert hypervisor.hypervisor_hostname == getattr(nova.servers.get(server), "OS-EXT-SRV-ATTR:hypervisor_hostname")
    assert nova.hypervisors.get(hypervisor).state == "up"
    assert nova.hypervisors.search(hypervisor.hypervisor_hostname, servers=True)[0].servers
    assert nova.hypervisors.uptime(hypervisor).uptime
    assert {one.zoneName for one in zones} >= {"nova"}
    if version == OLDEST:
        assert nova.hypervisor_stats.statistics().running_vms >= 2
        nova.services.disable_log_reason(services[0].host, "nova-compute", "a walk")
        assert nova.services.list(binary="nova-compute")[0].disabled_reason == "a walk"
        nova.services.enable(services[0].host, "nova-compute")
    else:
        nova.services.disable_log_reason(services[0].id, "a walk")
        assert nova.services.list(binary="nova-compute")[0].disabled_reason == "a walk"
        nova.services.enable(services[0].id)
    assert nova.services.list(binary="nova-compute")[0].status == "enabled"


def test_aggregates_make_availability_zones(nova, version):
    host = nova.services.list(binary="nova-compute")[0].host
    aggregate = nova.aggregates.create(unused_name("rack"), None)

    aggregate.set_metadata({"ssd": "true"})
    aggregate.add_host(host)
    shown = nova.aggregates.get(aggregate.id)
    assert (shown.hosts, shown.metadata["ssd"]) == ([host], "true")
    aggregate.update({"name": unused_name("rack")})
    assert aggregate.id in {one.id for one in nova.aggregates.list()}
    aggregate.remove_host(host)
    aggregate.delete()


def test_diagnostics_count_what_the_guest_does(nova, server):
    _, counters = nova.servers.diagnostics(server)

    assert counters.get("cpu0_time") or counters["cpu_details"]


def rests(cloud, nova, server, status):
    """The server, once it has that status (or ERROR) and nothing is under way."""

    def now():
        shown = nova.servers.get(server)
        at_rest = getattr(shown, "OS-EXT-STS:task_state") is None and shown.status in (status, "ERROR")
        return shown if at_rest else None

    shown = cloud.wait_for(now)
    assert shown is not None, f"{nova.servers.get(server).to_dict()} is not {status}"
    assert shown.status == status, shown.fault
    return shown


def is_gone(nova, server):
    try:
        nova.servers.get(server)
    except exceptions.NotFound:
        return True
    return False


def flavor_of(server):
    return server.flavor.get("id") or server.flavor["original_name"]


def boots_so_far(cloud, server):
    """How many boots of its present disk the guest counts, or 0 while it says nothing."""
    log = cloud.sdk().compute.get_server_console_output(server.id)["output"] or ""
    return max((int(line.split()[2]) for line in log.splitlines() if "tiny: boot" in line), default=0)
