"""oslo.policy rules, one module per resource, with upstream's names and defaults."""
