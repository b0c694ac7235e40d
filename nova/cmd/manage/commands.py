"""What the groups of nova-manage's commands share: how one is declared, the database, and tables on the terminal."""

import argparse
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from nova.clients import adapters
from nova.clients.placement import PlacementClient
from nova.cmd import config_options
from nova.db.engine import Database

# Given the configuration and the arguments; its docstring is the help, what it returns the exit status.
Command = Callable[[cfg.ConfigOpts, argparse.Namespace], int]


class Group:
    """A group of commands, such as nova-manage db."""

    def __init__(self, groups: Any, name: str, description: str) -> None:
        self._commands = groups.add_parser(name, help=description).add_subparsers(required=True, metavar="COMMAND")
        self._common = common_arguments()

    def add(self, name: str, command: Command) -> argparse.ArgumentParser:
        """A command of the group, to be given its arguments."""
        made: argparse.ArgumentParser = self._commands.add_parser(name, help=command.__doc__, parents=[self._common])
        made.set_defaults(command=command)
        made.add_argument("--verbose", action="store_true")
        return made


def common_arguments() -> argparse.ArgumentParser:
    """Upstream's tool takes the options before and behind the command."""
    common = argparse.ArgumentParser(add_help=False)
    config_options.add(common, again=True)
    return common


def open_database(conf: cfg.ConfigOpts) -> Database:
    return Database(conf.database.connection)


def open_placement(conf: cfg.ConfigOpts) -> PlacementClient:
    return PlacementClient(adapters.service_adapter(conf, "placement"))


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Rows of text; the first one is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    print(line)
    for number, row in enumerate(rows):
        print("|" + "|".join(f" {cell:<{width}} " for cell, width in zip(row, widths, strict=True)) + "|")
        if number == 0:
            print(line)
    print(line)
