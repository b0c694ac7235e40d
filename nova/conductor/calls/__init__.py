"""The conductor's side of every call in nova.conductor.interface, one module per noun."""
