"""Which provider of a claim gives what a port asks for."""

import types

import pytest

from nova import errors
from nova.clients.network import port_claims as told
from nova.conductor.workflows import port_claims
from nova.structs.network import PortClaim
from nova.structs.request_group import RequestGroup

BANDWIDTH = "NET_BW_EGR_KILOBIT_PER_SEC"
TRAITS = {"host": frozenset(), "left": frozenset({"LEFT"}), "right": frozenset({"RIGHT"})}


def group(suffix, amount, *required):
    return RequestGroup(suffix=suffix, resources=((BANDWIDTH, amount),), required=required)


def test_a_group_is_given_by_a_provider_with_its_traits():
    held = {"host": {"VCPU": 1}, "left": {BANDWIDTH: 5}, "right": {BANDWIDTH: 5}}

    assert port_claims.match([group("a", 5, "RIGHT"), group("b", 5, "LEFT")], held, TRAITS) == {
        "a": "right",
        "b": "left",
    }


def test_no_amount_is_counted_twice():
    held = {"left": {BANDWIDTH: 5}}

    assert port_claims.match([group("a", 3), group("b", 3)], held, TRAITS) is None
    assert port_claims.match([group("a", 2), group("b", 3)], held, TRAITS) == {"a": "left", "b": "left"}


def test_a_group_that_could_have_either_leaves_the_one_that_another_needs():
    held = {"left": {BANDWIDTH: 5}, "right": {BANDWIDTH: 5}}

    assert port_claims.match([group("a", 5), group("b", 5, "LEFT")], held, TRAITS) == {"a": "right", "b": "left"}


def test_a_claim_that_is_gone_stops_who_comes_and_nobody_who_is_there():
    placement = types.SimpleNamespace(
        allocations=lambda consumer: types.SimpleNamespace(resources={"host": {"VCPU": 1}}),
        traits=lambda provider: TRAITS[provider],
    )
    context = types.SimpleNamespace(placement=placement)
    claims = (PortClaim(port_id="port", groups=(group("a", 5),)),)

    with pytest.raises(errors.StepFailed):
        port_claims.said(context, "server", claims)
    assert port_claims.said_if_held(context, "server", claims) == {}


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"request_groups": [{"id": "a", "resources": {BANDWIDTH: 5}, "required": ["LEFT"]}]}, {"a": "left"}),
        ({"resources": {BANDWIDTH: 5}, "required": ["LEFT"]}, "left"),
    ],
    ids=["groups", "one"],
)
def test_both_forms_of_a_request_are_answered_in_their_own(asked, said):
    claim = told.read({"id": "port", "resource_request": asked})

    [only] = claim.groups
    assert only.resources == ((BANDWIDTH, 5),)
    assert only.required == ("LEFT",)
    assert told.allocation(claim, {only.suffix: "left"}) == said


@pytest.mark.parametrize("asked", [None, {}])
def test_a_port_that_asks_for_nothing_claims_nothing(asked):
    assert told.read({"id": "port", "resource_request": asked}) is None
