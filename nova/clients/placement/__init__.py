"""The Placement API over HTTP, for everyone who is not Placement.

One method per intent; callers never see a generation. A change that lost a race for a generation is
read again and repeated here; what Placement refuses for good is a domain error.
"""

from nova.clients.placement.claims import Claims
from nova.clients.placement.providers import Providers


class PlacementClient(Claims, Providers):
    """The Placement service. Any method raises errors.Unavailable when it cannot be reached."""
