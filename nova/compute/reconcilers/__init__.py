"""Periodic repairs on a host: what its guests are, against what the records say they are."""
