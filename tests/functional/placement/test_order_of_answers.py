"""What is told first, and in which order."""

import uuid

import pytest

from tests.functional.placement.cloud import Placement

NOBODY = f"/resource_providers/{uuid.uuid4()}"


@pytest.mark.parametrize("version", ["1.1", "1.39"])
@pytest.mark.parametrize(
    "method, path",
    [
        ("PUT", NOBODY),
        ("POST", f"{NOBODY}/inventories"),
        ("PUT", f"{NOBODY}/inventories"),
        ("PUT", f"{NOBODY}/inventories/VCPU"),
        ("PUT", f"{NOBODY}/aggregates"),
    ],
    ids=["provider", "add inventory", "inventories", "inventory", "aggregates"],
)
def test_an_unknown_provider_is_told_before_a_bad_body(placement: Placement, method, path, version):
    answers = [placement.call(method, path, body, version=version) for body in ({}, {"what": "ever"}, "text")]

    assert [answer.status for answer in answers] == [404, 404, 404]


def test_an_answer_names_aggregates_in_the_order_of_its_request(placement: Placement):
    host = placement.add_host("host", VCPU=1)
    path = f"/resource_providers/{host}/aggregates"
    given = sorted((str(uuid.uuid4()) for _ in range(5)), reverse=True)
    body = {"aggregates": given, "resource_provider_generation": placement.generation(host)}

    answer = placement.call("PUT", path, body)

    assert answer.json["aggregates"] == given
