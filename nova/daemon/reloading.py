"""What a daemon does when it is told to read its files again, and how it says that a configuration will not do."""

import logging
import sys

from oslo_config import cfg

from nova.conf import BadConfiguration, files, load

LOG = logging.getLogger(__name__)


def reload(name: str, conf: cfg.ConfigOpts) -> None:
    """Read the files again. What is wrong in them is said, and everything stays as it was."""
    try:
        # A trial first: a value that does not fit must not be found half-way.
        load([], conf.config_file)
        changed = conf.mutate_config_files()
    except (BadConfiguration, cfg.Error, ValueError, OSError) as error:
        LOG.error("%s keeps its configuration: %s", name, error)
        return
    names = sorted(f"[{group or 'DEFAULT'}] {option}" for group, option in changed)
    LOG.info("%s has read its configuration again; changed: %s", name, ", ".join(names) or "nothing")


def refuse(name: str, conf: cfg.ConfigOpts, error: BadConfiguration, worker: int | None) -> None:
    """One line for whoever started the daemon, from one worker of many, and one in the log, where that is elsewhere."""
    line = f"{name}: {files.locate(conf, str(error))}"
    if not worker:
        print(line, file=sys.stderr)
    if conf.log_file or conf.log_dir or conf.use_syslog or conf.use_journal or conf.log_config_append:
        # The traceback would only lead here.
        LOG.error("%s", line)
