"""HTTP front doors. They check requests, ask the conductor, and turn answers into JSON; no state."""
