"""The domain core: the one door to the data, and the engine that runs every long operation."""
