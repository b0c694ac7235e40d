"""The stream of events over a real socket: one reader for all, at once, within limits, and nothing twice or lost."""

import contextlib
import datetime
import http.client
import itertools
import json
import logging
import socket
import threading
import uuid
from collections import Counter

import pytest

from nova.api import compute as compute_api
from nova.clock import utcnow
from nova.conf import load
from nova.db import events
from nova.http.limits import Limits
from nova.http.server import HttpServer
from nova.http.service import listen
from tests.functional.api.identity import Identity
from tests.functional.cloud import wait
from tests.functional.nova_all import NovaAll

LARGEST = 2**63 - 1


class Counting:
    """A conductor whose calls are counted by name."""

    def __init__(self, conductor):
        self._conductor = conductor
        self.counts = Counter()

    def __getattr__(self, name):
        method = getattr(self._conductor, name)

        def call(*args, **kwargs):
            self.counts[name] += 1
            return method(*args, **kwargs)

        return call


class Stream:
    """A client of one stream; reading waits for the next block."""

    def __init__(self, port, query="", project="project", headers=(), receive_bytes=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if receive_bytes is not None:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            sock.settimeout(60)
            sock.connect(("127.0.0.1", port))
            self._connection.sock = sock
        token = {"X-Auth-Token": f"user:{project}"} | dict(headers)
        self._connection.request("GET", f"/v2.1/servers/events{query}", headers=token)
        self.answer = self._connection.getresponse()
        self.status = self.answer.status

    def block(self):
        """The next block's fields; None at the end. A comment's name is empty."""
        lines = []
        while line := self.answer.readline().decode().rstrip("\n"):
            lines.append(line)
        return dict(line.split(": ", 1) for line in lines) if lines else None

    def event(self, kind=None):
        """The next event, or the next one of a kind."""
        while block := self.block():
            if block.get("event") is not None and kind in (None, block["event"]):
                return {**block, "data": json.loads(block["data"])}
        raise AssertionError(f"the stream ended before {kind or 'an event'}")

    def leave(self):
        # The answer holds the socket, too.
        self.answer.close()
        self._connection.close()


class Api:
    """The Compute API of a cloud, served to real clients."""

    def __init__(self, cloud):
        self.conductor = Counting(cloud.conductor_calls)
        app = compute_api.application(cloud.conf, self.conductor, transport=cloud.transport)
        limits = Limits(requests=20, connections_per_source=0)
        self.server = HttpServer(listen("127.0.0.1", 0), app, limits, fault=app.fault)
        self.server.start()
        self._streams = []

    def stream(self, *args, **options):
        stream = Stream(self.server.address[1], *args, **options)
        self._streams.append(stream)
        return stream

    def opened(self, *args, **options):
        """A stream that has begun."""
        stream = self.stream(*args, **options)
        assert stream.status == 200
        assert "" in stream.block()
        return stream

    def close(self):
        for stream in self._streams:
            stream.leave()
        self.server.stop()


@pytest.fixture
def serve():
    with contextlib.ExitStack() as stack:

        def serving(cloud):
            return stack.enter_context(contextlib.closing(Api(cloud)))

        yield serving


def append(cloud, kind="kind", project="project", payload=None, server=None):
    server = server or str(uuid.uuid4())
    cloud.db.write(lambda c: events.append(c, kind, project, payload or {}, server))


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "event-feed"]


@pytest.mark.parametrize("backend", ["threading", "eventlet"])
def test_the_first_byte_and_each_event_come_when_they_are_there(tmp_path, image_service, backend):
    nova = NovaAll(tmp_path, backend, image_service.port)
    nova.start()
    try:
        nova.add_flavor()
        stream = Stream(nova.port, project="admin", headers={"X-Auth-Token": "admin:admin"})
        begin = stream.block()
        nova.create_server(image_service.image)
        first = stream.event()
        stream.event("instance.create.end")
    finally:
        nova.kill()

    # Each read waits: with a server that gathers some bytes first, none of them would come.
    assert "" in begin
    assert first["event"] == "instance.create.start"


def test_two_hundred_idle_streams_have_one_reader_and_no_stream_has_none(make_cloud, serve):
    cloud = make_cloud("[api]\nmax_event_streams_per_project = 200\n")
    api = serve(cloud)
    assert readers() == []
    streams = [api.opened() for _ in range(200)]
    api.conductor.counts.clear()

    append(cloud, "something")
    heard = {stream.event()["event"] for stream in streams}
    calls = api.conductor.counts.copy()

    assert heard == {"something"}
    assert len(readers()) == 1
    assert set(calls) == {"watch_log"}
    assert calls["watch_log"] < 20
    for stream in streams:
        stream.leave()
    wait(lambda: not readers(), "nobody reads the log")


def test_a_stream_opened_while_others_are_served_hears_what_comes_then(cloud, serve):
    api = serve(cloud)
    first = api.opened()
    append(cloud, "before")
    assert first.event()["event"] == "before"

    late, resumed = api.opened(), api.opened("?after=0")
    append(cloud, "then")

    assert late.event()["event"] == "then"
    assert [resumed.event()["event"] for _ in range(2)] == ["before", "then"]
    assert first.event()["event"] == "then"


def test_a_stream_tells_of_its_own_project_and_an_administrators_of_all(cloud, serve):
    api = serve(cloud)
    mine, elsewhere = api.opened(project="mine"), api.opened(project="elsewhere")
    everybody = api.opened("?all_projects=1", headers={"X-Auth-Token": "admin:admin"})

    append(cloud, "theirs", project="elsewhere")
    append(cloud, "mine", project="mine")

    assert mine.event()["event"] == "mine"
    assert elsewhere.event()["event"] == "theirs"
    assert [everybody.event()["event"] for _ in range(2)] == ["theirs", "mine"]
    assert api.stream("?all_projects=1").status == 403


def test_a_project_has_so_many_streams_and_a_client_that_leaves_frees_its_place_at_once(make_cloud, serve):
    api = serve(make_cloud("[api]\nmax_event_streams_per_project = 1\n"))
    first = api.opened()

    refused, other = api.stream(), api.stream(project="other")
    # Nothing is sent meanwhile, so that only its leaving can tell.
    first.leave()
    wait(lambda: api.stream().status == 200, "the place is free")

    assert refused.status == 429
    assert "event streams" in json.loads(refused.answer.read())["overLimit"]["message"]
    assert other.status == 200


def test_a_worker_has_so_many_streams(make_cloud, serve):
    api = serve(make_cloud("[api]\nmax_event_streams = 1\n"))
    first = api.opened()

    refused = api.stream(project="other")
    first.leave()
    wait(lambda: api.stream(project="other").status == 200, "the place is free")

    assert refused.status == 503
    assert list(json.loads(refused.answer.read())) == ["serviceUnavailable"]


def test_a_server_that_ends_ends_its_streams(cloud, serve):
    api = serve(cloud)
    stream = api.opened()

    api.server.stop()

    assert stream.block() is None
    wait(lambda: not readers(), "nobody reads the log")


def test_a_slow_client_holds_little_and_misses_nothing(cloud, serve, caplog):
    caplog.set_level(logging.INFO)
    api = serve(cloud)
    stream = api.opened(receive_bytes=4096)
    server = str(uuid.uuid4())

    def many(connection, start):
        for number in range(start, start + 500):
            events.append(connection, "kind", "project", {"what": number, "text": "x" * 4096}, server)

    for start in range(0, 4000, 500):
        cloud.db.write(lambda c, start=start: many(c, start))
    heard = [stream.event()["data"]["what"] for _ in range(4000)]

    assert heard == list(range(4000))
    assert "a client of an event stream is slow" in caplog.text


# Where a stream begins


def test_a_client_that_resumes_behind_a_purge_is_told_so(cloud):
    for number in range(4):
        append(cloud, f"old-{number}")
    cloud.db.write(lambda c: events.purge(c, utcnow() + datetime.timedelta(hours=1), 100))
    append(cloud, "new")
    user = cloud.client()

    heard = _events(user.get("/servers/events?after=1&timeout=0").text)
    rest = _events(user.get("/servers/events?timeout=0", headers={"Last-Event-ID": heard[0]["id"]}).text)

    assert [one["event"] for one in heard] == ["gap", "old-3", "new"]
    assert heard[0]["data"]["after"] == 1
    assert heard[0]["data"]["before"] == heard[1]["data"]["number"]
    assert "old-3" in [one["event"] for one in rest]


def test_a_client_that_resumes_where_nothing_is_missing_is_told_of_no_gap(cloud):
    append(cloud, "first")
    append(cloud, "second")

    heard = _events(cloud.client().get("/servers/events?after=0&timeout=0").text)

    assert [one["event"] for one in heard] == ["first", "second"]


@pytest.mark.parametrize("after", [1000, 2**31, 2**53 + 1, LARGEST])
def test_an_id_of_the_future_is_a_gap_and_the_stream_goes_on_with_what_comes(cloud, serve, after):
    append(cloud, "there")
    api = serve(cloud)
    by_query = api.opened(f"?after={after}")
    by_header = api.opened(headers={"Last-Event-ID": str(after)})

    gaps = [by_query.event(), by_header.event()]
    append(cloud, "next")

    assert {one["event"] for one in gaps} == {"gap"}
    assert {one["data"]["after"] for one in gaps} == {after}
    assert by_query.event()["event"] == by_header.event()["event"] == "next"


@pytest.mark.parametrize("bad", ["-1", "x", "1.5", "", "0x10", "1e3", "%D9%A1", str(LARGEST + 1), "9" * 40])
def test_what_is_no_id_is_refused(cloud, bad):
    user = cloud.client()

    by_query = user.get(f"/servers/events?after={bad}&timeout=0")

    assert by_query.status_code == 400
    assert list(by_query.json()) == ["badRequest"]
    if not bad.startswith("%"):
        by_header = user.get("/servers/events?timeout=0", headers={"Last-Event-ID": bad})
        assert by_header.status_code == 400
    assert user.get("/servers/events?after=0&timeout=0").status_code == 200


# What an event says


def test_an_event_says_what_the_server_is_now_and_nothing_is_said_twice(cloud):
    cloud.add_host("host-1")
    cloud.add_host("host-2")
    user, admin = cloud.client(), cloud.client("admin", "admin")
    server = user.create_server()
    body = {"host": None, "block_migration": "auto"}
    assert admin.act(server["id"], "os-migrateLive", body).status_code == 202
    user.wait(server["id"], "ACTIVE")

    heard = [one["data"] for one in _events(user.get("/servers/events?after=0&timeout=0").text)]

    assert all({"step", "vm_state", "task_state", "power_state"} <= one.keys() for one in heard)
    assert all(datetime.datetime.fromisoformat(one["time"]).utcoffset() == datetime.timedelta() for one in heard)
    migrating = [one for one in heard if one.get("operation") == "live-migration"]
    assert {one["task_state"] for one in migrating} >= {"migrating", None}
    assert all(one["step"] for one in migrating)
    last = migrating[-1]
    assert (last["vm_state"], last["task_state"], last["power_state"]) == ("active", None, 1)
    words = [{name: value for name, value in one.items() if name not in ("number", "time")} for one in heard]
    assert [one for one, following in itertools.pairwise(words) if one == following] == []
    assert heard[0]["vm_state"] == "building"


# The end of a token


def test_a_stream_ends_with_its_token(cloud, serve, tmp_path):
    """The real keystonemiddleware, and an Identity service that says when a token ends."""
    identity = Identity(lifetime_s=3)
    identity.start()
    configuration = tmp_path / "keystone.conf"
    configuration.write_text(identity.configuration())
    cloud.conf = load(files=[str(cloud.directory / "nova.conf"), str(configuration)])
    api = serve(cloud)
    try:
        stream = api.opened("?timeout=600", headers={"X-Auth-Token": "a-users-token"})
        append(cloud, "while it holds", project=identity.project)
        assert stream.event()["event"] == "while it holds"

        # It waits for the end: a stream that outlived its token would time out here.
        assert stream.block() is None
    finally:
        identity.stop()


def _events(text):
    """The events of a stream, without its comments."""
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append({**lines, "data": json.loads(lines["data"])})
    return found
