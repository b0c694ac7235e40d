"""The conductor's side of every call in nova.rpc.conductor, one module per noun."""
