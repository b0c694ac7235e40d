"""Volumes, through the Block Storage API v3."""
