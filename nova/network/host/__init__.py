"""What nova-network does on a host: bridges, DHCP, NAT and filters."""
