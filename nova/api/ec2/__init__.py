"""The Amazon EC2 API: one module for each kind of thing, put together into one application."""
