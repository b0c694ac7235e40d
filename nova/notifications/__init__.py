"""Versioned notifications: events of the log in upstream's format.

table.py says which event gives which notifications; the other modules say what one carries, one module per
noun. Everything here is a pure function of a NotificationEvent. Source: notification development guide, "Versioned
notifications", and the samples in the Compute documentation.
"""
