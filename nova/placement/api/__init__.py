"""Placement's HTTP front door: versions, routing, validation, policy, error bodies."""
