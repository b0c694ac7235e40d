"""What holds for every test."""

import gc


def pytest_collection_finish():
    """What all modules hold stays to the end: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
