"""nova-manage host: the names of compute hosts."""

import argparse
from typing import Any

from oslo_config import cfg

from nova.cmd.manage.commands import Group, open_database
from nova.db import host_identity


def add(groups: Any) -> None:
    renamed = Group(groups, "host", "compute hosts").add("rename", rename)
    renamed.add_argument("old")
    renamed.add_argument("new")
    renamed.add_argument("--node", help="the machine's new hypervisor_hostname")


def rename(conf: cfg.ConfigOpts, arguments: argparse.Namespace) -> int:
    """Give a compute host that is down another name, with its node and its servers; then start it under that name."""
    count = open_database(conf).write(lambda c: host_identity.rename(c, arguments.old, arguments.new, arguments.node))
    print(f"Host {arguments.old} is {arguments.new} now, in the records of {count} servers, too.")
    print("The ports of its servers are still bound to the old name: openstack port set --host NEW PORT.")
    return 0
