"""Commands of the openstack client for what this control plane adds to the Compute API. Knows no module of nova's."""
