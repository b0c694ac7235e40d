"""Guests of one project take all the connections to the metadata service, so that others' guests do not boot."""

import contextlib
import http.client

from nova.network.host import metadata_proxy


def test_a_project_takes_no_more_connections_by_many_networks(world, victim, attacker, monkeypatch):
    world.serve_metadata()
    monkeypatch.setattr(metadata_proxy, "_PER_PROJECT", 2)
    first, second = (world.boot(attacker.network(cidr=f"10.2{number}.0.0/24"), project=attacker) for number in range(2))
    owner = world.boot(victim.network(cidr="10.20.0.0/24"), project=victim)

    with contextlib.ExitStack() as held:
        with first.inside():
            for _ in range(2):
                connection = held.enter_context(
                    contextlib.closing(http.client.HTTPConnection("169.254.169.254", timeout=5))
                )
                connection.request("GET", "/")
                # What is answered is counted, and stays open.
                assert connection.getresponse().read()
        assert second.ask("http://169.254.169.254/") is None
        assert owner.ask("http://169.254.169.254/") == owner.port["device_id"]
