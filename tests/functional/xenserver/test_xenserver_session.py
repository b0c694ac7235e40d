"""One session with a pool that loses it, changes its master, does not answer, or does not let nova-compute in."""

import threading

import pytest

from nova import errors
from nova.structs.disks import DisksId
from nova.structs.instance import PowerState


def test_session_that_was_lost_is_renewed(driver, pool):
    pool.lose_sessions()

    assert driver.guests() == ()
    assert pool.calls.count("session.login_with_password") == 2


def test_driver_of_a_slave_asks_the_master_and_follows_the_next_one(make_pool, make_driver, make_spec):
    pool = make_pool(hosts=("xen1", "xen2"))
    driver = make_driver(pool, "xen2")
    spec = make_spec(disks_id=DisksId(generation=1, host="xen2"))
    driver.create(spec)

    pool.elect("xen2")

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    (vm,) = (r for r in pool.store.all("VM").values() if r["other_config"].get("nova:name") == spec.uuid)
    assert vm["resident_on"] == pool.hosts["xen2"]


def test_wrong_password_is_told_and_the_right_one_serves(pool, make_driver):
    with pytest.raises(errors.Unavailable) as caught:
        make_driver(pool, connection_password="wrong")

    assert "SESSION_AUTHENTICATION_FAILED" in caught.value.message
    assert "SESSION" not in caught.value.for_users
    assert make_driver(pool).nodes()[0].hypervisor_hostname == "xen1"


def test_change_whose_answer_is_lost_is_made_once(driver, pool, make_spec):
    spec = make_spec()
    lose_answers(pool, {"VM.create"})

    with pytest.raises(errors.Unavailable):
        driver.create(spec)
    pool.around = lambda name, make: make()
    driver.create(spec)

    # The first is undone: nobody knows what became of it.
    assert pool.calls.count("VM.create") == 2
    assert len([r for r in pool.store.all("VM").values() if not r["is_control_domain"]]) == 1


def test_question_whose_answer_is_lost_is_asked_again(driver, pool, make_spec):
    driver.create(make_spec())
    lose_answers(pool, {"VM.get_all_records_where"}, times=1)

    assert len(driver.guests()) == 1


def test_hypervisor_that_is_away_is_unavailable_and_then_there(driver, pool, make_spec):
    spec = make_spec()
    driver.create(spec)

    def refuse(name, make):
        raise ConnectionError

    pool.around = refuse
    for call in (driver.guests, driver.nodes, driver.check, lambda: driver.destroy(spec.uuid)):
        with pytest.raises(errors.Unavailable):
            call()
    pool.around = lambda name, make: make()

    driver.check()
    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]


def test_hypervisor_that_hangs_holds_up_a_call_for_its_time_and_no_other(pool, make_driver, make_spec):
    driver = make_driver(pool, request_timeout=2)
    spec = make_spec()
    driver.create(spec)
    released = threading.Event()

    def hang(name, make):
        if name == "VM.pause":
            released.wait(60)
        return make()

    pool.around = hang
    with pytest.raises(errors.Unavailable):
        driver.set_power(spec.uuid, PowerState.PAUSED)

    assert [guest.uuid for guest in driver.guests()] == [spec.uuid]
    released.set()
    driver.set_power(spec.uuid, PowerState.PAUSED)
    assert driver.guest(spec.uuid).power_state is PowerState.PAUSED


def test_certificate_that_does_not_fit_is_told(pool, make_driver):
    with pytest.raises(errors.Unavailable):
        make_driver(pool, connection_url=pool.url.replace("http:", "https:"))


def test_thousand_guests_are_one_question(driver, pool):
    for number in range(1000):
        config = {"nova:host": "xen1", "nova:name": f"{number:036x}"}
        vm = pool.store.make("VM", name_label=str(number), other_config=config)
        uuid = pool.store.get("VM", vm)["uuid"]
        pool.store.change("VM", vm, other_config=config | {"nova:whole": uuid})
    pool.calls.clear()

    assert len(driver.guests()) == 1000
    assert pool.calls == ["VM.get_all_records_where"]


def lose_answers(pool, names, times=100):
    left = iter(range(times))

    def around(name, make):
        answer = make()
        if name in names and next(left, None) is not None:
            raise ConnectionError
        return answer

    pool.around = around
