"""The Networking API v2.0, as every other part of this project asks it."""
