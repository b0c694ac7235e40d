"""Hypervisors that tests and tools/cloud.sh run in place of those that cannot run here."""
