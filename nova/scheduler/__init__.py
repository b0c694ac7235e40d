"""Chooses hosts: Placement's candidates, then filters, then weights, then a claim, each step explained."""
