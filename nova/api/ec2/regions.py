"""Regions, availability zones, and what an account may have. Source: EC2 API reference."""

from typing import Any

from nova.api.ec2 import errors
from nova.api.ec2.call import Call
from nova.api.ec2.declaration import Listing, action
from nova.api.ec2.listing import path

Item = dict[str, Any]

_ZONES = "os_compute_api:os-availability-zone:list"


@action(
    "DescribeRegions",
    policy=_ZONES,
    holds={"AllRegions": (True, False)},
    lists=Listing(
        "Regions",
        "RegionName",
        ids="RegionNames",
        filters={"region-name": path("RegionName"), "endpoint": path("Endpoint"), "opt-in-status": path("OptInStatus")},
    ),
)
def describe_regions(call: Call) -> list[Item]:
    """This region and those of [DEFAULT] region_list, with the addresses of their EC2 APIs."""
    conf = call.request.conf
    own = call.request.base_url
    if conf.ec2_host:
        own = f"{conf.ec2_scheme}://{conf.ec2_host}:{conf.ec2_port}{conf.ec2_path}"
    endpoints = {region_name(call): own}
    for name, host in conf.region_list.items():
        endpoints.setdefault(name, f"{conf.ec2_scheme}://{host}:{conf.ec2_port}{conf.ec2_path}")
    return [
        {"RegionName": name, "Endpoint": endpoint, "OptInStatus": "opt-in-not-required"}
        for name, endpoint in endpoints.items()
    ]


def region_name(call: Call) -> str:
    """The region of this cloud: the one in which its services are looked up."""
    conf = call.request.conf
    # A file names it where it must, which need not be the section of Keystone.
    named = (conf[section].region_name for section in ("keystone", "neutron", "placement", "glance"))
    return next(filter(None, named), "nova")


@action(
    "DescribeAvailabilityZones",
    policy=_ZONES,
    holds={"AllAvailabilityZones": (True, False)},
    lists=Listing(
        "AvailabilityZones",
        "ZoneName",
        ids="ZoneNames",
        filters={
            "zone-name": path("ZoneName"),
            "zone-id": path("ZoneId"),
            "state": path("State"),
            "region-name": path("RegionName"),
            "zone-type": path("ZoneType"),
            "opt-in-status": path("OptInStatus"),
        },
    ),
)
def describe_zones(call: Call) -> list[Item]:
    """The zones of compute hosts. One is available while any of its hosts takes servers."""
    zones: dict[str, bool] = {}
    for service in call.conductor.services(call.context, binary="nova-compute"):
        zones[service.zone] = zones.get(service.zone, False) or not service.is_disabled
    return [
        {
            "ZoneName": name,
            "ZoneId": name,
            "State": "available" if is_available else "unavailable",
            "RegionName": region_name(call),
            "GroupName": region_name(call),
            "ZoneType": "availability-zone",
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
        }
        for name, is_available in zones.items()
    ]


@action("DescribeAccountAttributes", policy="os_compute_api:limits", takes=("AttributeNames",))
def describe_account(call: Call) -> Item:
    """What EC2 calls the account is the project."""
    limits = call.conductor.quota(call.project_id).limits
    known = {
        "supported-platforms": ["VPC"],
        "default-vpc": [call.ids.one("vpc", call.project_id)],
        "max-instances": [str(limits["instances"])],
    }
    wanted = call.given.get("AttributeNames") or list(known)
    for name in wanted:
        if name not in known:
            raise errors.bad_value("AttributeName", name)
    return {
        "AccountAttributes": [
            {"AttributeName": name, "AttributeValues": [{"AttributeValue": value} for value in known[name]]}
            for name in wanted
        ]
    }
