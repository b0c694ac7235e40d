"""Calls over the bus: types, errors, casts and fanout, on the bus inside one process."""

import itertools
import threading

import pytest

from nova import conf as configuration
from nova import errors
from nova.rpc.bus import BusFailure, NotAnswered, connect
from nova.rpc.client import make_client
from nova.rpc.declaration import cast, fanout
from nova.rpc.local import bus_of
from nova.rpc.server import Server
from nova.structs.context import Context
from nova.structs.flavor import Flavor

_numbers = itertools.count()


class Calls:
    def grow(self, flavor: Flavor, by: int = 1) -> Flavor: ...

    def fail(self, context: Context) -> None: ...

    def break_down(self) -> None: ...

    def ask_on(self) -> None: ...

    def note_and_answer(self, word: str) -> None: ...

    @cast
    def note(self, word: str) -> None: ...

    @fanout
    def tell_all(self, word: str) -> None: ...


class Implementation:
    def __init__(self):
        self.heard = []
        self.has_heard = threading.Event()

    def grow(self, flavor, by):
        return Flavor(id=flavor.id, name=flavor.name, vcpus=flavor.vcpus + by, memory_mb=flavor.memory_mb)

    def fail(self, context):
        raise errors.ServerNotFound(server_id=context.project_id)

    def break_down(self):
        raise ZeroDivisionError("a secret of the implementation")

    def ask_on(self):
        raise NotAnswered(service="nova-other", reason="it did not answer in time")

    def note(self, word):
        self.heard.append(word)
        self.has_heard.set()

    tell_all = note_and_answer = note


class Slow(Implementation):
    """Answers when it is released."""

    def __init__(self, released):
        super().__init__()
        self._released = released

    def note_and_answer(self, word):
        self._released.wait(60)


@pytest.fixture
def bus(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\ntransport_url = local:///unit{next(_numbers)}\nstate_path = {tmp_path}\n")
    conf = configuration.load([], [str(path)])
    bus = connect(conf)
    bus.name = conf.transport_url
    return bus


@pytest.fixture
def serve(bus):
    started = []

    def start(name="one"):
        implementation = Implementation()
        server = Server(bus, "things", name, Calls, implementation, threads=4)
        server.start()
        started.append(server)
        return implementation

    yield start
    for server in started:
        server.stop()


def test_a_struct_goes_there_and_another_comes_back(bus, serve):
    serve()
    things = make_client(bus, "things", Calls)

    grown = things.grow(Flavor(id="1", name="tiny", vcpus=1, memory_mb=64), by=3)

    assert grown == Flavor(id="1", name="tiny", vcpus=4, memory_mb=64)


def test_an_argument_left_out_has_its_default(bus, serve):
    serve()

    assert make_client(bus, "things", Calls).grow(Flavor(id="1", name="t", vcpus=1, memory_mb=1)).vcpus == 2


def test_a_domain_error_arrives_as_what_it_was_raised_as(bus, serve):
    serve()

    with pytest.raises(errors.ServerNotFound) as caught:
        make_client(bus, "things", Calls).fail(Context(project_id="p"))

    assert caught.value.details == {"server_id": "p"}
    assert caught.value.status == 404


def test_a_defect_on_the_other_side_tells_nothing_of_itself(bus, serve):
    serve()

    with pytest.raises(errors.DomainError) as caught:
        make_client(bus, "things", Calls).break_down()

    assert "secret" not in str(caught.value)
    assert caught.value.status == 500


def test_nobody_there_is_a_failure_of_the_bus_within_the_time_given(bus):
    with pytest.raises(BusFailure) as caught:
        make_client(bus, "nobody", Calls, timeout_s=0.05).break_down()

    assert "nobody" in str(caught.value)
    assert caught.value.status == 503


def test_whether_a_call_without_answer_was_done_is_not_known(bus):
    released = threading.Event()
    server_side = Server(bus, "slow", "one", Calls, Slow(released), threads=1)
    server_side.start()
    try:
        with pytest.raises(errors.MaybeDone):
            make_client(bus, "slow", Calls, timeout_s=0.5).note_and_answer("slowly")
    finally:
        released.set()
        server_side.stop()


def test_a_call_that_failed_for_want_of_another_answer_is_known_not_to_be_done(bus, serve):
    serve()
    with pytest.raises(BusFailure) as caught:
        make_client(bus, "things", Calls).ask_on()

    assert not isinstance(caught.value, errors.MaybeDone)


def test_a_cast_is_heard_by_one_and_a_fanout_by_all(bus, serve):
    first, second = serve("one"), serve("two")
    things = make_client(bus, "things", Calls)

    things.tell_all("everybody")
    for one in (first, second):
        assert one.has_heard.wait(90)
    assert first.heard == second.heard == ["everybody"]

    first.has_heard.clear(), second.has_heard.clear()
    things.note("somebody")

    assert first.has_heard.wait(90) or second.has_heard.wait(90)
    assert sorted(first.heard + second.heard) == ["everybody", "everybody", "somebody"]


def test_a_message_sent_before_anybody_listens_waits(bus, serve):
    make_client(bus, "things", Calls).note("early")

    assert serve().has_heard.wait(90)


def test_calls_that_come_one_after_another_need_one_thread(bus, serve):
    serve()
    things = make_client(bus, "things", Calls)
    before = threading.active_count()

    for _ in range(4):
        things.note_and_answer("word")

    assert threading.active_count() <= before + 2


def test_a_server_hears_itself_and_says_so_when_it_does_not(bus, serve):
    now = [1000.0]
    server = Server(bus, "things", "deaf", Calls, Implementation(), clock=lambda: now[0])
    server.start()
    check = server.check()
    server._ping_self()
    check.look()

    bus_of("local:///" + bus.name.rsplit("/", 1)[1]).lose("things.deaf")
    now[0] += 7
    server._ping_self()

    with pytest.raises(errors.Unavailable, match="nothing came through this daemon's own queue for 7 s"):
        check.look()
    server._ping_self()
    check.look()
    server.stop()


def test_a_call_that_was_given_up_is_not_done_later(bus, serve):
    """Its caller was told that it failed, and may have asked again."""
    late = make_client(bus, "things", Calls, timeout_s=0.05)
    with pytest.raises(BusFailure):
        late.note_and_answer("too late")

    things = serve()
    make_client(bus, "things", Calls).note("in time")

    assert things.has_heard.wait(90)
    assert things.heard == ["in time"]
