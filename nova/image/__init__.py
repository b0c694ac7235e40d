"""The Image service, as far as servers need it."""
