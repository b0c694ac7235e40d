"""The message bus: the transport, and the contract of every daemon that answers on it."""
