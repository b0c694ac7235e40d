"""Networks of servers: the client every daemon uses, and nova-network, which answers it."""
