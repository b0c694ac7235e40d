"""Consoles: nova-consoleauth's tokens, and the proxies that carry a guest's screen to a browser."""
