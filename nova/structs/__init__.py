"""The frozen structs that cross process boundaries, one module per noun.

They are versioned by adding optional fields: a struct of release N reads what N-1 wrote.
"""
