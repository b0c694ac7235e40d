"""Alert rules and dashboard, asked of a real Prometheus that scrapes a daemon at work."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from tests.functional.cloud import wait
from tests.functional.nova_all import NovaAll, free_port

ROOT = Path(__file__).parents[2]
RULES = ROOT / "etc/nova/monitoring/nova-alerts.yaml"
DASHBOARD = ROOT / "etc/nova/monitoring/nova-dashboard.json"
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: nova
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
# What has no samples while all is well, while nothing is under way, and on fake hosts.
_EMPTY = re.compile(r'"error"|outcome!="ok"|nova_operations_(under_way|oldest_seconds)|nova_libvirt_|nova_image_')
# For each alert: series by which it fires, and those by which it does not. A value stands for an hour.
CASES = {
    "NovaDaemonNotReady": ({'nova_check_passes{instance="a", check="database"}': "0"}, "1"),
    "NovaDaemonDeaf": ({'nova_rpc_deaf{instance="a", topic="compute"}': "1"}, "0"),
    "NovaHostsDown": ({'nova_hosts{instance="a", state="down", status="enabled"}': "2"}, "0"),
    "NovaOperationsDue": ({"nova_operations_oldest_due_seconds": "61"}, "60"),
    "NovaOperationsOld": ({'nova_operations_oldest_seconds{operation="resize"}': "3601"}, "3600"),
    "NovaOperationsLeft": ({"nova_operations_left": "1"}, "0"),
    "NovaOperationsFail": (
        {
            'nova_operation_duration_seconds_count{operation="create", outcome="failed"}': "0+2x300",
            'nova_operation_duration_seconds_count{operation="create", outcome="success"}': "0+10x300",
        },
        "0+0x300",
    ),
    "NovaApiErrors": (
        {
            'nova_http_requests_total{instance="a", code="500"}': "0+2x300",
            'nova_http_requests_total{instance="a", code="200"}': "0+100x300",
        },
        "0+0x300",
    ),
    "NovaNoValidHost": (
        {
            'nova_scheduler_decision_seconds_count{outcome="no valid host"}': "0+1x300",
            'nova_scheduler_decision_seconds_count{outcome="chosen"}': "0+10x300",
        },
        "0+0x300",
    ),
    "NovaCapacityShort": (
        {
            'nova_placement_resources{resource_class="VCPU", kind="used"}': "91",
            'nova_placement_resources{resource_class="VCPU", kind="capacity"}': "100",
        },
        "90",
    ),
    "NovaDatabasePoolFull": (
        {
            'nova_database_connections{instance="a", database="compute", state="in_use"}': "51",
            'nova_database_connections{instance="a", database="compute", state="most"}': "55",
            # It is one connection, and often in use.
            'nova_database_connections{instance="a", database="placement_writer", state="in_use"}': "1",
            'nova_database_connections{instance="a", database="placement_writer", state="most"}': "1",
        },
        "49",
    ),
    "NovaDatabaseSlow": (
        {
            'nova_database_statement_seconds_sum{database="compute", statement="update", table="hosts"}': "0+6x300",
            'nova_database_statement_seconds_count{database="compute", statement="update", table="hosts"}': "0+10x300",
        },
        "0+4x300",
    ),
}


@pytest.fixture(scope="module")
def prometheus(image_service_of_module, tmp_path_factory):
    """Asks a Prometheus that knows a cloud with a server, and one that could not be built."""
    home = tmp_path_factory.mktemp("monitored")
    nova = NovaAll(home, "threading", image_service_of_module.port)
    nova.start()
    port = free_port()
    (home / "prometheus.yml").write_text(CONFIGURATION.format(rules=RULES, port=nova.health_port))
    with (home / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={home}/prometheus.yml",
                f"--storage.tsdb.path={home}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )

    def ask(expression):
        answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": expression}, timeout=60).json()
        assert answer["status"] == "success", (expression, answer)
        return answer["data"]["result"]

    try:
        wait(lambda: is_there(port), "Prometheus answers")
        limited = {"quota_set": {"instances": 10}}
        assert nova.send("PUT", "/os-quota-sets/admin", limited).status_code == 200
        nova.add_flavor()
        nova.create_server(image_service_of_module.image)
        wait(lambda: nova.statuses() == ["ACTIVE"], "the server is active")
        yield ask
    finally:
        process.terminate()
        process.wait()
        nova.kill()


def is_there(port):
    try:
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=10).ok
    except requests.ConnectionError:
        return False


def expressions():
    """Every query of every panel, by the panel's title."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def alerts():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def test_every_panel_shows_something_of_a_cloud_at_work(prometheus):
    shown = [(title, expression) for title, expression in expressions() if not _EMPTY.search(expression)]

    assert len(shown) > len(list(expressions())) / 2
    for title, expression in shown:
        wait(lambda expression=expression: prometheus(expression), f"{title} has data: {expression}")


def test_every_query_is_understood_and_asks_for_metrics_that_there_are(prometheus):
    page = (ROOT / "nova/metrics.py").read_text()
    asked = [expression for _, expression in expressions()] + [rule["expr"] for rule in alerts().values()]

    for expression in asked:
        prometheus(expression)
        for name in re.findall(r"nova_\w+", expression):
            assert f'"{re.sub("_(bucket|count|sum|total)$", "", name)}"' in page, name


def test_no_alert_fires_while_all_is_well(prometheus):
    wait(lambda: prometheus("nova_servers"), "the cloud was scraped")

    assert prometheus("ALERTS") == []


@pytest.mark.parametrize("name", alerts())
def test_an_alert_fires_when_it_should_and_not_before(name, tmp_path):
    fires, well = CASES[name]
    first = next(iter(fires))
    for is_firing, series in ((True, fires), (False, {**fires, first: well})):
        values = {one: value if "x" in value else f"{value}x300" for one, value in series.items()}
        test = {
            "interval": "1m",
            "input_series": [{"series": one, "values": value} for one, value in values.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
                    "eval_time": "3h",
                    "exp_samples": [{"labels": "{}", "value": int(is_firing)}],
                }
            ],
        }
        path = tmp_path / f"{is_firing}.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [test]}))

        done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr


def test_the_guide_says_of_every_alert_what_to_do():
    guide = (ROOT / "doc/monitoring.md").read_text()

    assert set(re.findall(r"^### (Nova\w+)$", guide, re.M)) == set(alerts())
