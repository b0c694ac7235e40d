"""Thin clients of the services beside this one. Each asks over nova.clients.http."""
