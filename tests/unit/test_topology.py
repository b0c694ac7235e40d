"""A guest's processors are grouped as flavor and image wish, and never beyond their maxima."""

import pytest

from nova.structs import topology


def specs(**wishes):
    return {f"hw:cpu_{name}": value for name, value in wishes.items()}


@pytest.mark.parametrize(
    "vcpus, wishes, expected",
    [
        (4, {}, (4, 1, 1)),
        (4, {"cores": "2"}, (2, 2, 1)),
        (4, {"sockets": "1"}, (1, 4, 1)),
        (8, {"sockets": "2", "cores": "2"}, (2, 2, 2)),
        (8, {"sockets": "2", "cores": "2", "threads": "2"}, (2, 2, 2)),
        (8, {"sockets": "2", "cores": "2", "threads": "4"}, (2, 2, 2)),
        (3, {"cores": "2"}, (3, 1, 1)),
        (4, {"threads": "2"}, (2, 1, 2)),
        (4, {"sockets": "0", "cores": "x"}, (4, 1, 1)),
        (8, {"max_sockets": "2"}, (2, 4, 1)),
        (8, {"max_sockets": "2", "max_cores": "2"}, (2, 2, 2)),
        (8, {"max_sockets": "1", "max_threads": "1"}, (1, 8, 1)),
        (8, {"sockets": "4", "max_sockets": "2"}, (2, 4, 1)),
    ],
)
def test_the_product_is_always_the_number_of_processors(vcpus, wishes, expected):
    assert topology.choose(vcpus, specs(**wishes), {}) == expected


def test_the_flavors_word_wins_over_the_images():
    assert topology.choose(4, specs(sockets="2"), {"hw_cpu_sockets": "1", "hw_cpu_max_cores": "2"}) == (2, 2, 1)


def test_maxima_that_leave_no_grouping_are_told():
    assert topology.choose(8, specs(max_sockets="1", max_cores="1"), {"hw_cpu_max_threads": "2"}) is None
