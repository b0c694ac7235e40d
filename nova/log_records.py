"""Sets up logging, so that a message is one line of the log whatever text of a user it repeats.

Records are made that way, not formatted: it holds for messages of libraries, and for every handler that an operator
configures. The lines of a traceback stay lines, each with the prefix that oslo.log gives it.
"""

import logging

from oslo_config import cfg
from oslo_log import log as oslo_log

# What ends a line somewhere, or tells a terminal to do something.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
_ESCAPES = {number: ascii(chr(number))[1:-1] for number in _CONTROLS}


class OneLineRecord(logging.LogRecord):
    """A record without control characters in its message and the summary of its error: escapes stand for them."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return one_line(super().getMessage())

    @property
    def error_summary(self) -> str:
        return str(self.__dict__["error_summary"])

    @error_summary.setter
    def error_summary(self, summary: str) -> None:
        # oslo.log's formatter sets it, and reads it from the dictionary.
        self.__dict__["error_summary"] = one_line(summary)


def one_line(text: str) -> str:
    r"""A text with its control characters as escapes such as \n."""
    return text.translate(_ESCAPES)


def setup(conf: cfg.ConfigOpts, name: str) -> None:
    """Set up the logging of this process, a daemon's with this name."""
    logging.setLogRecordFactory(OneLineRecord)
    oslo_log.setup(conf, name)
