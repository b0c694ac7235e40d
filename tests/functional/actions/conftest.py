"""Fixtures: a cloud with a host, a user and an administrator."""

import pytest

from tests.functional.invariants import leftovers, settle


@pytest.fixture
def user(cloud):
    return cloud.client()


@pytest.fixture
def admin(cloud):
    return cloud.client("admin", "admin")


@pytest.fixture
def in_order(cloud):
    """At the end of the test nothing is left that should not be."""
    yield
    settle(cloud)
    assert leftovers(cloud) == []
