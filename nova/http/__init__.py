"""One HTTP foundation, over which every API of this project declares what it serves."""
