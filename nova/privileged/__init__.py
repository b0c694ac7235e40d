"""What nova-network does with rights that a process which hears tenants must not have.

Each function here is one narrow operation, done by a process of its own (oslo.privsep) that has exactly the capabilities named in
contexts.py. It believes its caller nothing: names must be of the kinds that this cloud gives, paths must lie where the
configuration says, texts for tools must be of the few forms that are needed. Nothing outside of this package speaks to
oslo.privsep. A daemon that is root and stays root does the same in its own process.
"""
