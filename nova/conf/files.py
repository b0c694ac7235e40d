"""The files of a configuration, and what they set: each value with the file it stands in."""

import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from oslo_config import cfg

_BEGINS_WITH_OPTION = re.compile(r"\[([^\]]+)\] (\w+)")


class Setting(NamedTuple):
    """A line of a file; without an option it is the head of a group."""

    path: str
    group: str
    option: str
    value: str


def of(conf: cfg.ConfigOpts) -> list[str]:
    """The files conf was read from, in the order in which they count: the last one wins."""
    # Of a directory that the command line names, config_file knows nothing.
    directories = conf.config_dirs or conf.default_config_dirs
    return [*(conf.config_file or ()), *_in_directories(directories)]


def named_by(args: Sequence[str], files: Sequence[str] | None) -> list[str]:
    """The files that a command line names, for a conf that could not be read."""
    named = _values(args, "--config-file") or (cfg.find_config_files("nova") if files is None else list(files))
    directories = _values(args, "--config-dir") or cfg.find_config_dirs("nova")
    return [path for path in [*named, *_in_directories(directories)] if os.path.isfile(path)]


def settings(paths: Sequence[str]) -> Iterator[Setting]:
    """What the files set, as oslo.config reads it. A group without options is a setting without an option."""
    for path in paths:
        groups: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, groups).parse()
        for group, options in groups.items():
            yield Setting(path, group, "", "")
            for option, values in options.items():
                yield from (Setting(path, group, option, value) for value in values)


def values(conf: cfg.ConfigOpts) -> dict[tuple[str, str], str]:
    """What the files set, by group and option; the last one wins."""
    return {(one.group, one.option): one.value for one in settings(of(conf)) if one.option}


def where(conf: cfg.ConfigOpts) -> str:
    """The files, for a message about what is in none of them."""
    return ", ".join(of(conf)) or "there is no /etc/nova/nova.conf"


def locate(conf: cfg.ConfigOpts, message: str) -> str:
    """A message that begins with [group] option, with the file in front that has the last word about it."""
    named = _BEGINS_WITH_OPTION.match(message)
    if not named:
        return message
    setting = [one.path for one in settings(of(conf)) if (one.group, one.option) == named.groups()]
    return f"{setting[-1] if setting else where(conf)}: {message}"


def _values(args: Sequence[str], option: str) -> list[str]:
    found = [following for word, following in itertools.pairwise(args) if word == option]
    return found + [word.partition("=")[2] for word in args if word.startswith(f"{option}=")]


def _in_directories(directories: Sequence[str]) -> list[str]:
    return [
        path for place in directories for path in sorted(glob.glob(os.path.join(os.path.expanduser(place), "*.conf")))
    ]
