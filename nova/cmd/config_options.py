"""Which configuration a tool reads: --config-file and --config-dir, as every daemon has them."""

import argparse


def add(parser: argparse.ArgumentParser, again: bool = False) -> None:
    """Give a parser both options. again: they are taken here, too, behind the command's words."""
    default = argparse.SUPPRESS if again else None
    parser.add_argument(
        "--config-file",
        action="append",
        default=default,
        metavar="FILE",
        help="read this file instead of /etc/nova/nova.conf; of several, the last one that sets an option counts",
    )
    parser.add_argument(
        "--config-dir",
        action="append",
        default=default,
        metavar="DIR",
        help="read the *.conf of this directory, in the order of their names, after the files",
    )


def chosen(arguments: argparse.Namespace) -> list[str]:
    """What nova.conf.load() takes."""
    files = [word for path in arguments.config_file or () for word in ("--config-file", path)]
    return files + [word for path in arguments.config_dir or () for word in ("--config-dir", path)]
