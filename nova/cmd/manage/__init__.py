"""nova-manage: the operator's hand on the database, for what no API offers.

The commands of upstream's installation guides work, in the guides' order. Those about what is not here, such as a second
database, have nothing to do and say so.
"""

import argparse
import logging
import sys

from nova import errors, release
from nova.cmd import config_options, placement_manage
from nova.cmd.manage import (
    addresses,
    capacity,
    cells,
    database,
    doctor,
    host,
    image_property,
    network,
    operation,
    placement,
    quota,
    support_bundle,
)
from nova.cmd.manage.commands import Command
from nova.conf import BadConfiguration, load, required


def main() -> int:
    words = sys.argv[1:]
    if "placement" in words and words[words.index("placement") + 1 :][:1] == ["db"]:
        return placement_manage.run([word for word in words if word != "placement"])
    arguments = parser().parse_args()
    try:
        conf = load(config_options.chosen(arguments))
        required.database(conf)
    except BadConfiguration as error:
        print(f"nova-manage: {error}", file=sys.stderr)
        return 2
    # What it is about is said once, by the command.
    logging.getLogger("nova").setLevel(logging.CRITICAL)
    command: Command = arguments.command
    try:
        return command(conf, arguments)
    except errors.DomainError as error:
        print(f"nova-manage: {error.for_administrators or error.message}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="nova-manage", description=__doc__)
    config_options.add(top)
    top.add_argument("--version", action="version", version=release.version())
    modules = (
        *(database, cells, host, operation, capacity, quota, doctor, support_bundle, image_property, placement),
        *(network, addresses),
    )
    groups = top.add_subparsers(
        metavar="db|api_db|cell_v2|host|operation|capacity|quota|doctor|support-bundle|image_property|placement|"
        "network|fixed|floating",
        required=True,
    )
    for module in modules:
        module.add(groups)
    return top
