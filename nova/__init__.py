"""A compute control plane that speaks the OpenStack Compute and Placement APIs."""
