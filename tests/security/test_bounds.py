"""Every number and list of a request has an end: too much is 400 or 403, and costs nobody anything."""

import pytest

from tests.functional.cloud import wait

NETWORK = "http://network/v2.0"
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def cloud(make_module_cloud):
    cloud = make_module_cloud()
    cloud.add_host()
    return cloud


@pytest.fixture(scope="module")
def network(cloud):
    user = cloud.client()
    network = user.post("/networks", {"network": {"name": "n"}}, url=NETWORK).json()["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.3.0.0/24", "ip_version": 4}
    user.post("/subnets", {"subnet": subnet}, url=NETWORK)
    return network


def device(**fields):
    return {"source_type": "blank", "destination_type": "local", "volume_size": 1, **fields}


TOO_MUCH = {
    "boot index of many digits": {"block_device_mapping_v2": [device(boot_index=DIGITS)]},
    "boot index": {"block_device_mapping_v2": [device(boot_index=2**31)]},
    "volume size": {"block_device_mapping_v2": [device(volume_size=DIGITS)]},
    "devices": {"block_device_mapping_v2": [device()] * 65},
    "networks": {"networks": [{"uuid": "0b5d2c72-12cc-4ba6-a8d7-3ff5cc1d8cb8"}] * 129},
    "security groups": {"security_groups": [{"name": "default"}] * 129},
    "servers": {"max_count": 2**31 - 1},
    "servers of many digits": {"min_count": DIGITS},
    "a thousand and one servers": {"max_count": 1001},
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_for_a_server(cloud, what):
    user = cloud.client()

    answer = user.post("/servers", {"server": user.wanted(**TOO_MUCH[what])})

    assert answer.status_code == 400, answer.text


def test_too_many_disks_for_a_server(cloud):
    user = cloud.client()

    answer = user.post(
        "/servers", {"server": user.wanted(block_device_mapping_v2=[device(destination_type="volume")] * 26)}
    )

    assert answer.status_code == 403
    assert "maximum allowed number of disk devices (26)" in answer.text


@pytest.mark.parametrize("is_named", [False, True])
def test_the_26th_disk_is_refused(cloud, is_named):
    user = cloud.client()
    server = user.create_server()

    answers = []
    for number in range(26):
        body = {"volumeId": cloud.cinder.add()} | ({"device": f"/dev/vda{chr(97 + number)}"} if is_named else {})
        path = f"/servers/{server['id']}/os-volume_attachments"

        def attach(path=path, body=body):
            answer = user.post(path, {"volumeAttachment": body})
            return answer.status_code != 409 and [answer]

        # One operation at a time.
        answers += wait(attach, "the volume before is attached")

    assert [answer.status_code for answer in answers] == [202] * 25 + [403]


@pytest.mark.parametrize("most", ["0", 0, DIGITS, "-1", "", 2**31])
def test_a_group_that_nobody_could_be_in_is_refused(cloud, most):
    group = {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": most}}

    assert cloud.client().post("/os-server-groups", {"server_group": group}).status_code == 400


def test_a_rule_that_the_commit_refuses_again_and_again_ends_the_build(cloud):
    user = cloud.client()
    group = {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 1}}
    group_id = user.post("/os-server-groups", {"server_group": group}).json()["server_group"]["id"]
    # As an older release wrote it, from the text "0".
    cloud.db.write(lambda c: c.exec_driver_sql("UPDATE server_groups SET rules = '{\"max_server_per_host\":0}'"))

    answer = user.post("/servers", {"server": user.wanted(), "os:scheduler_hints": {"group": group_id}})

    server = user.wait(answer.json()["server"]["id"], "ERROR")
    assert "No valid host" in server["fault"]["message"]
    assert cloud.allocations(server["id"]) == {}


def test_a_request_for_more_ports_than_there_may_be_is_refused_at_once(cloud, network):
    user, admin = cloud.client(), cloud.client("admin", "admin")
    used = len(user.get("/ports?project_id=project", url=NETWORK).json()["ports"])
    assert admin.put("/quotas/project", {"quota": {"port": used + 2}}, url=NETWORK).status_code == 200
    wanted = user.wanted(networks=[{"uuid": network}])

    answers = [
        user.post("/servers", {"server": user.wanted(networks=[{"uuid": network}] * 3)}),
        user.post("/servers", {"server": {**wanted, "min_count": 3}}),
        user.post("/servers", {"server": {**wanted, "min_count": 1, "max_count": 5, "name": "few"}}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 202]
    assert "Quota exceeded for ports" in answers[0].text
    few = user.get("/servers?name=few").json()["servers"]
    assert len(few) == 2
    for server in few:
        user.wait(server["id"], "ACTIVE")
    answer = user.post(f"/servers/{few[0]['id']}/os-interface", {"interfaceAttachment": {"net_id": network}})
    assert answer.status_code == 403
    admin.delete("/quotas/project", url=NETWORK)


def test_the_quota_says_how_many_of_many_there_are(cloud):
    user, admin = cloud.client("many", "many"), cloud.client("admin", "admin")
    admin.put("/os-quota-sets/many", {"quota_set": {"instances": 3}})

    answer = user.post("/servers", {"server": user.wanted(min_count=2, max_count=1000)})

    assert answer.status_code == 202
    assert len(user.get("/servers").json()["servers"]) == 3
    assert user.post("/servers", {"server": user.wanted()}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        f"/servers?limit={DIGITS}",
        f"/servers?power_state={DIGITS}",
        f"/servers/detail?progress={DIGITS}",
        f"/flavors?minRam={DIGITS}",
        f"/flavors?limit={DIGITS}",
        f"/os-keypairs?limit={DIGITS}",
        f"/os-server-groups?offset={DIGITS}",
        f"/servers/events?after={DIGITS}",
    ],
)
def test_a_number_of_many_digits_in_a_query(cloud, path):
    assert cloud.client().get(path).status_code == 400


@pytest.mark.parametrize("path", [f"/ports?limit={DIGITS}", f"/ports?limit=1{DIGITS}&marker=x", "/ports?limit=-1"])
def test_a_number_of_many_digits_in_a_query_of_networks(cloud, path):
    assert cloud.client().get(path, url=NETWORK).status_code == 400


@pytest.mark.parametrize(("number", "status"), [(200, 404), (201, 400), (2000, 400)])
def test_what_one_request_may_create_of_networks_is_counted_before_anything_is_looked_up(cloud, number, status):
    ports = [{"network_id": "0b5d2c72-12cc-4ba6-a8d7-3ff5cc1d8cb8"}] * number

    answer = cloud.client().post("/ports", {"ports": ports}, url=NETWORK)

    assert answer.status_code == status, answer.text


def test_a_revision_of_many_digits(cloud, network):
    headers = {"If-Match": f"revision_number={DIGITS}"}

    answer = cloud.client().put(f"/networks/{network}", {"network": {"name": "x"}}, url=NETWORK, headers=headers)

    assert answer.status_code == 400


@pytest.mark.parametrize("length", [DIGITS, -2, 2**31])
def test_lines_of_console_output(cloud, length):
    user = cloud.client()
    server = user.create_server()

    assert user.act(server["id"], "os-getConsoleOutput", {"length": length}).status_code == 400


def test_a_list_is_a_page_at_most(make_cloud):
    cloud = make_cloud("\n[api]\nmax_limit = 2\n")
    user = cloud.client()
    for number in range(3):
        user.post("/os-server-groups", {"server_group": {"name": str(number), "policy": "affinity"}})
        user.post("/servers", {"server": user.wanted()})

    assert len(user.get("/os-server-groups?limit=1000").json()["server_groups"]) == 2
    assert len(user.get("/servers?limit=1000").json()["servers"]) == 2
