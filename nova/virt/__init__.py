"""Hypervisor drivers. nova.compute is the only caller."""
