"""nova-compute: does what one step of an operation asks on one host, through the virt driver."""
