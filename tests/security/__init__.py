"""What hostile users try, beside a victim's project: one module per class of attack."""
