"""The real nova-all, as a process of its own: many at once do not stop it, nor does what it was killed in."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.cloud import wait
from tests.functional.nova_all import NovaAll

AT_ONCE = 100


@pytest.fixture(params=["eventlet", "threading"])
def make_nova_all(request, tmp_path, image_service):
    made = []

    def make(fake_delay_s):
        nova = NovaAll(tmp_path, request.param, image_service.port, fake_delay_s)
        made.append(nova)
        nova.start()
        nova.add_flavor()
        return nova

    yield make
    for nova in made:
        nova.kill()


def test_a_hundred_at_once_are_created_and_deleted(make_nova_all, image_service):
    nova = make_nova_all(fake_delay_s=0)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        servers = list(pool.map(lambda _: nova.create_server(image_service.image), range(AT_ONCE)))
        wait(lambda: nova.statuses() == ["ACTIVE"] * AT_ONCE, "all servers are active", timeout_s=120)
        deleted = list(pool.map(lambda server: nova.send("DELETE", f"/servers/{server}").status_code, servers))
        wait(lambda: nova.statuses() == [], "all servers are gone", timeout_s=120)

    assert deleted == [204] * AT_ONCE
    assert nova.end() == 0


def test_what_was_under_way_when_it_was_killed_ends_after_the_next_start(make_nova_all, image_service):
    nova = make_nova_all(fake_delay_s=1)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: nova.create_server(image_service.image), range(40)))

    nova.kill()
    nova.start()

    wait(lambda: nova.statuses() == ["ACTIVE"] * 40, "all servers are active", timeout_s=120)
