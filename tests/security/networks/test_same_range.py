"""Two projects use the same addresses. Each reaches its own, as if the other were not there."""

from tests.functional.network.world import HOST_OUTSIDE, OUTSIDE

CIDR = "10.20.0.0/24"


def test_each_reaches_its_own_guests_and_the_world(world, victim, attacker, open_to_all):
    world.outside.serve_who_asks(OUTSIDE, 8080)
    guests = {}
    for project in (victim, attacker):
        network = project.network(cidr=CIDR)
        world.join(network, project=project)
        rules = open_to_all(project)
        guests[project] = [
            world.boot(network, fixed_ips=[{"ip_address": f"10.20.0.{last}"}], **rules) for last in (10, 11)
        ]
        guests[project][0].run("sh", "-c", f"echo {project.name} > {guests[project][0].directory}/index.html")
        guests[project][0].start("busybox", "httpd", "-f", "-p", "80", "-h", str(guests[project][0].directory))

    for project, (server, client) in guests.items():
        assert client.lease["ip"] == "10.20.0.11"
        assert client.ask("http://10.20.0.10/index.html").strip() == project.name
        assert client.ask(f"http://{OUTSIDE}:8080/") == HOST_OUTSIDE
        assert server.reaches("10.20.0.1")


def test_a_connection_of_the_one_opens_no_door_at_the_other(world, victim, attacker, open_to_all):
    """Connection tracking of the host sees the same addresses and ports on two networks."""
    networks = {project: project.network(cidr=CIDR) for project in (victim, attacker)}
    closed = victim.create("security-groups", name="closed")
    fixed = [[{"ip_address": f"10.20.0.{last}"}] for last in (10, 11)]
    guarded = world.boot(networks[victim], fixed_ips=fixed[0], project=victim, security_groups=[closed["id"]])
    sender = world.boot(networks[victim], fixed_ips=fixed[1], **open_to_all(victim))
    rules = open_to_all(attacker)
    doubles = [world.boot(networks[attacker], fixed_ips=one, **rules) for one in fixed]
    listen = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7000)); print(s.recv(9))"
    opened = doubles[0].directory / "heard"

    # The attacker's own pair makes the entry 10.20.0.10:7000 to 10.20.0.11:7001.
    doubles[0].run("python3", "-c", send("10.20.0.10", 7000, "10.20.0.11", 7001))
    doubles[1].run("python3", "-c", send("10.20.0.11", 7001, "10.20.0.10", 7000))
    guarded.start("sh", "-c", f'timeout 3 python3 -c "{listen}" > {opened}')
    for _ in range(5):
        sender.run("python3", "-c", send("10.20.0.11", 7001, "10.20.0.10", 7000) + "; import time; time.sleep(0.2)")

    assert opened.read_text() == ""


def send(source, source_port, target, port):
    return (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        f"s.bind(('{source}', {source_port})); s.sendto(b'x', ('{target}', {port}))"
    )


def test_one_router_joins_only_ranges_that_it_can_tell_apart(api):
    demo = api.project()
    first, second = demo.network(cidr=CIDR), demo.network(cidr="10.20.0.128/25")
    router = demo.join(first)

    refused = demo.ask("PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": second["subnets"][0]})

    assert (refused.status_code, refused.json()["NeutronError"]["type"]) == (400, "BadRequest")
    assert len(demo.get(f"ports?device_id={router['id']}")["ports"]) == 1


def test_one_network_has_each_address_once(api):
    demo = api.project()
    network = demo.network(cidr=CIDR)

    assert demo.create("subnets", network_id=network["id"], ip_version=4, cidr="10.20.0.128/25") == "InvalidInput"


def test_external_networks_which_are_all_on_the_host_differ(api):
    api.admin.network(cidr="203.0.113.0/24", **{"router:external": True})
    other = api.admin.network(cidr="203.0.113.0/24")

    assert api.admin.update("networks", other["id"], **{"router:external": True}) == "InvalidInput"
