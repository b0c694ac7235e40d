"""Power cuts: any daemon, and RabbitMQ, at any moment of a build. No server is ever stuck."""

import pytest

pytestmark = pytest.mark.mode("distributed")

VICTIMS = ("nova-conductor", "nova-scheduler", "nova-compute@host-1", "rabbitmq")
# Seconds after the request: while it is scheduled, while its network and its disk are made, while it boots.
MOMENTS = (0.0, 0.3, 1.0)


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_daemon_leaves_no_server_stuck(cloud, victim):
    import time

    servers = []
    for number, moment in enumerate(MOMENTS):
        servers.append(request_server(cloud, f"{victim.partition('@')[0]}-{number}"))
        time.sleep(moment)
        cloud.tool("kill", victim)
        cloud.tool("start", victim)

    ended = [cloud.wait_for(lambda server=server: settled(cloud, server), timeout_s=180) for server in servers]

    assert all(ended), "some server has not come to rest"
    for server in ended:
        assert server.status == "ACTIVE" or (server.status == "ERROR" and server.fault["message"])
    delete_all(cloud, servers)
    assert cloud.wait_for(lambda: cloud.leftovers() == {}, timeout_s=60), cloud.leftovers()


def test_the_cloud_works_as_before_after_all_that(cloud):
    with cloud.server("after-all") as server:
        assert "after-all login:" in cloud.wait_for_console(server.id, "after-all login:")

    assert cloud.leftovers() == {}


def request_server(cloud, name):
    client = cloud.sdk()
    return client.compute.create_server(
        name=name,
        image_id=client.image.find_image("tiny").id,
        flavor_id=client.compute.find_flavor("m1.tiny").id,
        networks=[{"uuid": client.network.find_network("private").id}],
    )


def settled(cloud, server):
    """The server, once it is ACTIVE or ERROR and nothing is under way."""
    shown = cloud.sdk().compute.get_server(server.id)
    return shown if shown.status in ("ACTIVE", "ERROR") and shown.task_state is None else None


def delete_all(cloud, servers):
    client = cloud.sdk()
    for server in servers:
        client.compute.delete_server(server.id)
    for server in servers:
        client.compute.wait_for_delete(server, interval=0.5, wait=120)
