"""The generic half of the Compute API: from a declared operation to a checked, answered request."""
