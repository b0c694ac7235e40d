"""The parts of tools/soak.py: the cloud it acts on, what it kills, what its servers live through, what must hold."""
