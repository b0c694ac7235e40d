"""A driver whose guests are entries of a dictionary, for tests and for clouds without hypervisors."""

from nova.virt.fake.driver import FakeDriver

__all__ = ["FakeDriver"]
