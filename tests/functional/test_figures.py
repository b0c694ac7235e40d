"""What an operator sees of a cloud at work: its metrics, and a line of the log for each operation that ends."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from nova import errors
from nova.conductor.figures import count
from nova.db import quotas
from nova.db.engine import Database
from tests.functional.cloud import wait

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from throwaway_databases import database

REASON = "the disk is on fire"


@pytest.fixture
def user(cloud):
    cloud.add_host("host-1")
    return cloud.client("admin", "project")


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def ended(operation, outcome):
    return value("nova_operation_duration_seconds_count", operation=operation, outcome=outcome)


def test_servers_and_hosts_are_counted_by_their_states(cloud, user):
    server_id = user.create_server()["id"]
    user.act(server_id, "os-stop")
    user.wait(server_id, "SHUTOFF")

    count(cloud.db, cloud.conf)

    assert value("nova_servers", vm_state="stopped") == 1
    assert value("nova_hosts", state="up", status="enabled") == 1
    user.delete(f"/servers/{server_id}")
    user.wait_gone(server_id)
    count(cloud.db, cloud.conf)
    assert REGISTRY.get_sample_value("nova_servers", {"vm_state": "stopped"}) is None


def test_an_operation_that_ends_is_counted_and_told_in_one_line(cloud, user, caplog):
    caplog.set_level(logging.INFO, "nova.conductor.engine.turn")
    before = ended("create", "success")

    server_id = user.create_server()["id"]

    # Told after the commit, which the server's user may be the first to see.
    wait(lambda: ended("create", "success") == before + 1, "the operation is counted")
    wait(lambda: told(caplog, f"create of server {server_id}: success in"), "the operation is told of")
    [line] = told(caplog, f"of server {server_id}:")
    assert "(operation " in line


def test_an_operation_that_fails_says_why(cloud, user, caplog):
    caplog.set_level(logging.INFO, "nova.conductor.engine.turn")
    cloud.hypervisor("host-1").fail("create", errors.GuestFailed(reason=REASON), times=99)
    before = ended("create", "failed")

    server_id = user.post("/servers", {"server": user.wanted()}).json()["server"]["id"]
    user.wait(server_id, "ERROR")

    wait(lambda: ended("create", "failed") == before + 1, "the operation is counted")
    wait(lambda: told(caplog, f"create of server {server_id}: failed in"), "the operation is told of")
    [line] = told(caplog, f"of server {server_id}: failed in")
    assert " at claim_host: " in line
    assert REASON in line


def test_requests_and_decisions_are_counted(cloud, user):
    route = {"method": "GET", "route": "/servers/{server_id}", "code": "200"}
    requests = value("nova_http_requests_total", **route)
    decisions = value("nova_scheduler_decision_seconds_count", outcome="chosen")

    server_id = user.create_server()["id"]
    user.get(f"/servers/{server_id}")

    assert value("nova_http_requests_total", **route) > requests
    assert value("nova_scheduler_decision_seconds_count", outcome="chosen") == decisions + 1
    assert not [one for family in REGISTRY.collect() for one in family.samples if server_id in str(one.labels)]


def told(caplog, words):
    return [message for one in caplog.records if words in (message := one.getMessage())]


def test_the_use_of_quotas_is_told_of_all_projects_and_by_name_of_those_at_their_limits(cloud, user):
    # Ten names, however many projects there are.
    used = {f"project-{number}": number for number in range(1, 15)}

    def set_up(connection):
        quotas.set_limits(connection, quotas.CLASS, "default", {"instances": 100})
        for project, in_use in used.items():
            quotas.take(connection, project, {"instances": in_use, "server_groups": 0}, {})
        quotas.set_limits(connection, quotas.PROJECT, "project-1", {"instances": 1})
        quotas.set_limits(connection, quotas.PROJECT, "project-14", {"instances": -1})

    cloud.db.write(set_up)

    count(cloud.db, cloud.conf)

    assert value("nova_quota_in_use", resource="instances") == sum(used.values())
    assert value("nova_quota_projects_near_limit", resource="instances") == 1
    near = {
        one.labels["project"]: one.value
        for family in REGISTRY.collect()
        for one in family.samples
        if one.name == "nova_quota_used_ratio" and one.labels["resource"] == "instances"
    }
    nearest = {"project-1": 1.0} | {f"project-{number}": number / 100 for number in range(5, 14)}
    assert near == pytest.approx(nearest)


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_statements_are_timed_by_kind_and_table_also_those_that_fail(kind):
    def counted(statement, table, outcome):
        labels = {"database": "compute", "statement": statement, "table": table, "outcome": outcome}
        return value("nova_database_statement_seconds_count", **labels)

    with database(kind) as url:
        db = Database(url)
        before = [counted("insert", "kept", "ok"), counted("insert", "kept", "error"), counted("commit", "", "ok")]
        with db.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE kept (id INTEGER PRIMARY KEY)")
        db.write(lambda c: c.exec_driver_sql("INSERT INTO kept VALUES (1)"))
        with pytest.raises(sa.exc.IntegrityError):
            db.write(lambda c: c.exec_driver_sql("INSERT INTO kept VALUES (1)"))
        after = [counted("insert", "kept", "ok"), counted("insert", "kept", "error"), counted("commit", "", "ok")]
        db.close()

    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1]


PROGRAM = """
from nova import daemon, log_context
import logging

class Works:
    refusal = None
    def start(self):
        log_context.follow("req-1", server_id="server-1")
        logging.getLogger("nova.test").info("it works")
        self.refusal = "enough"
    def stop(self):
        pass

daemon.run("nova-test", lambda conf: [Works()], argv=["--config-file", "{path}"])
"""


def test_a_log_in_json_names_request_and_server(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(f"[DEFAULT]\nstate_path = {tmp_path}\nuse_json = true\nlog_file = {tmp_path}/log\n")

    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.replace("{path}", str(path))], timeout=60, check=False
    )

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [said] = [line for line in lines if line["message"] == "it works"]
    assert (said["context"]["request_id"], said["context"]["resource_uuid"]) == ("req-1", "server-1")
    assert said["levelname"] == "INFO"
