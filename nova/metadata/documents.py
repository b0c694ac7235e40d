"""All that a guest may read about itself, as one tree of documents.

The metadata API answers from it by path; the config drive is the same tree written to files. Built
from a server's record and the configuration alone: no other service is asked.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from oslo_config import cfg

from nova.metadata import ec2, openstack
from nova.structs.instance import Instance


class NoSuchDocument(Exception):
    """There is nothing at this path."""


class Documents:
    """The documents of one server."""

    def __init__(self, instance: Instance, openstack_tree: openstack.Tree, ec2_tree: ec2.Tree) -> None:
        self.instance = instance
        self._openstack = openstack_tree
        self._ec2 = ec2_tree

    def read(self, path: str) -> bytes:
        """A document, or the list of what is below path. Raises NoSuchDocument.

        The tree of versions of EC2 is the root; that of OpenStack stands below "openstack".
        """
        node: Any = self._ec2
        names = [name for name in path.split("/") if name]
        if names[:1] == ["openstack"]:
            node, names = self._openstack, names[1:]
        is_list_of_versions = not names
        for name in names:
            if not isinstance(node, dict) or name not in node or name.startswith("_"):
                raise NoSuchDocument(path)
            node = node[name]
        if isinstance(node, dict):
            return "\n".join(_listing(node, is_list_of_versions)).encode()
        return node if isinstance(node, bytes) else node.encode()

    def files(self, without_ec2: Collection[str] = ()) -> Iterator[tuple[str, bytes]]:
        """What a config drive holds, by path; without_ec2: versions of EC2 it does not."""
        for version, documents in self._openstack.items():
            for name, content in documents.items():
                # The guest sets it, and only over the network.
                if name != "password":
                    yield f"openstack/{version}/{name}", content
        for version, tree in self._ec2.items():
            if version in without_ec2:
                continue
            yield f"ec2/{version}/meta-data.json", json.dumps(tree["meta-data"]).encode()
            if "user-data" in tree:
                yield f"ec2/{version}/user-data", tree["user-data"]


def build(
    instance: Instance,
    conf: cfg.ConfigOpts,
    files: Mapping[str, bytes] | None = None,
    admin_password: str | None = None,
) -> Documents:
    """The documents of a server; its record is to have user_data. files: put into the guest, by path."""
    return Documents(instance, openstack.tree(instance, conf, files or {}, admin_password), ec2.tree(instance, conf))


def config_drive_files(
    instance: Instance,
    conf: cfg.ConfigOpts,
    files: Mapping[str, bytes] | None = None,
    admin_password: str | None = None,
) -> dict[str, bytes]:
    """The files of a server's config drive, by path; the one place where a guest reads admin_pass."""
    return dict(build(instance, conf, files, admin_password).files(conf.api.config_drive_skip_versions.split()))


def _listing(node: Mapping[str, Any], is_list_of_versions: bool) -> Iterator[str]:
    """One name a line; "/" marks a directory, but not a version. A key is listed with its name."""
    if is_list_of_versions:
        yield from (name for name in node if name != openstack.CONTENT)
        return
    for name, child in sorted(node.items()):
        if name.startswith("_"):
            continue
        if isinstance(child, dict):
            yield child.get("_name", f"{name}/")
        else:
            yield name
