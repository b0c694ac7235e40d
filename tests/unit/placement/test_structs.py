"""Arithmetic of inventories: capacity, and amounts that may be had in one piece."""

import pytest

from nova.placement.index import make_room
from nova.placement.structs import Inventory


@pytest.mark.parametrize(
    ("inventory", "capacity"),
    [
        (Inventory(8), 8),
        (Inventory(8, reserved=3), 5),
        (Inventory(3, allocation_ratio=1.5), 4),
        (Inventory(8, reserved=8, allocation_ratio=16.0), 0),
        (Inventory(2**31 - 1, allocation_ratio=3.4e38), 2**53 - 1),
    ],
)
def test_capacity_is_what_is_left_times_the_ratio_rounded_down(inventory: Inventory, capacity: int) -> None:
    assert inventory.capacity == capacity


@pytest.mark.parametrize(
    ("amount", "fits"), [(0, False), (5, False), (10, True), (15, False), (40, True), (50, False), (60, False)]
)
def test_amount_must_suit_the_units_and_the_room_left(amount: int, fits: bool) -> None:
    room = make_room(Inventory(100, min_unit=10, max_unit=50, step_size=10), used=55)

    assert room.fits(amount) == fits
