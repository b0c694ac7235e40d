"""Which filters and weighers a configuration makes, and the ones it cannot."""

import pytest

from nova.conf import BadConfiguration
from nova.scheduler import filters, weighers

OWN = """
from nova.scheduler.host_candidate import Refusal
from nova.scheduler.filters.filter import Filter
from nova.scheduler.weighers.weigher import Weigher


class EvenHostsFilter(Filter):
    def check(self, request):
        return lambda host: None if host.state.host.endswith("2") else Refusal("is odd")


class AlphabetWeigher(Weigher):
    def scale(self, request):
        return lambda host: -ord(host.state.host[0])


class Neither:
    pass
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch):
    (tmp_path / "an_operators_own.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "an_operators_own"


@pytest.fixture
def configured(conf):
    def configure(**options):
        for option, value in options.items():
            conf.set_override(option, value, group="filter_scheduler")
        return conf

    return configure


def names(things):
    return [type(one).__name__ for one in things]


def test_what_a_request_insists_on_is_always_checked(configured):
    conf = configured(enabled_filters=[])

    assert names(filters.enabled(conf)) == [
        "RetryFilter",
        "AvailabilityZoneFilter",
        "SameHostFilter",
        "DifferentHostFilter",
        "ServerGroupAntiAffinityFilter",
        "ServerGroupAffinityFilter",
    ]


def test_listed_filters_keep_their_order(configured):
    conf = configured(enabled_filters=["JsonFilter", "ComputeFilter", "RetryFilter"])

    assert names(filters.enabled(conf))[-3:] == ["JsonFilter", "ComputeFilter", "RetryFilter"]


def test_unknown_filter_is_a_clear_error(configured):
    conf = configured(enabled_filters=["ComputeFilter", "ComputFilter"])

    with pytest.raises(BadConfiguration, match="enabled_filters: there is no filter ComputFilter; there are Aggregate"):
        filters.enabled(conf)


def test_filters_that_placement_replaced_are_read_over(configured):
    conf = configured(enabled_filters=["RamFilter", "CoreFilter", "DiskFilter", "ComputeFilter"])

    assert names(filters.enabled(conf))[-1] == "ComputeFilter"
    assert "RamFilter" not in names(filters.enabled(conf))


def test_filter_of_ones_own_is_enabled_by_name(configured, own_package, a_host, a_request):
    conf = configured(
        available_filters=[filters.ALL, f"{own_package}.EvenHostsFilter"],
        enabled_filters=["ComputeFilter", "EvenHostsFilter"],
    )

    check = filters.enabled(conf)[-1].check(a_request())

    assert check(a_host("host-2")) is None
    assert str(check(a_host("host-1"))) == "is odd"


@pytest.mark.parametrize("path", ["no.such.package.Filter", "an_operators_own.Missing", "an_operators_own.Neither"])
def test_filter_of_ones_own_that_cannot_be_loaded_is_a_clear_error(configured, own_package, path):
    conf = configured(available_filters=[filters.ALL, path])

    with pytest.raises(BadConfiguration, match=f"available_filters: {path} "):
        filters.enabled(conf)


def test_all_weighers_are_used_by_default(configured):
    assert names(weighers.enabled(configured()))[:3] == ["RAMWeigher", "CPUWeigher", "DiskWeigher"]


def test_weighers_are_named_as_in_upstreams_files_or_in_short(configured):
    conf = configured(weight_classes=["nova.scheduler.weights.ram.RAMWeigher", "CPUWeigher"])

    assert names(weighers.enabled(conf)) == ["RAMWeigher", "CPUWeigher"]


@pytest.mark.parametrize("path", ["nova.scheduler.weights.ram.RAMWaiter", "RAMWaiter"])
def test_unknown_weigher_is_a_clear_error(configured, path):
    conf = configured(weight_classes=[path])

    with pytest.raises(BadConfiguration, match="weight_classes: there is no weigher RAMWaiter; there are Build"):
        weighers.enabled(conf)


def test_weigher_of_ones_own_is_used(configured, own_package):
    conf = configured(weight_classes=[f"{own_package}.AlphabetWeigher"])

    assert names(weighers.enabled(conf)) == ["AlphabetWeigher"]
