"""The Shared File Systems service (Manila), as far as servers need it."""
