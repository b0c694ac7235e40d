"""The log of this process in a file, as a daemon has it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nova import conf as configuration
from nova import log_records


@contextmanager
def log_file(path: Path) -> Iterator[Callable[[], list[str]]]:
    """Gives the lines of the file so far. Afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level, factory, hook = root.handlers[:], root.level, logging.getLogRecordFactory(), sys.excepthook
    conf = configuration.load([], files=[])
    conf.set_override("log_file", str(path))
    log_records.setup(conf, "nova-test")
    try:
        yield lambda: path.read_text().split("\n")[:-1]
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            handler.close()
        logging.setLogRecordFactory(factory)
        root.handlers[:], sys.excepthook = handlers, hook
        root.setLevel(level)
