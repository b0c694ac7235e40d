"""nova-api serves the EC2 API where it is configured to."""

import requests

from nova.cmd import api
from nova.conf import load
from nova.http.service import HttpService
from tests.functional.nova_all import free_port


def test_nova_api_serves_it_where_it_is_enabled(cloud, tmp_path):
    port = free_port()
    more = tmp_path / "ec2.conf"
    more.write_text(f"[DEFAULT]\nenabled_apis = ec2\nec2_listen = 127.0.0.1\nec2_listen_port = {port}\n")
    parts = api.build(load(files=[str(cloud.directory / "nova.conf"), str(more)]))
    [service] = [part for part in parts if isinstance(part, HttpService)]

    service.start()
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/services/Cloud?Action=DescribeRegions", timeout=30)
    finally:
        service.stop()

    assert answer.status_code == 401
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text
