"""openstack server explain, openstack server scheduling show: which filter removed how many hosts, and why."""

import contextlib
import uuid
from collections import Counter

from osc_lib.command import command

from nova_control_plane_commands.compute import Compute

_COLUMNS = ("Stage", "Hosts before", "Hosts after", "Removed")


class Explain(command.Lister):
    """Say which hosts a server could be built on, and why the others are not among them. Nothing is built."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument("--flavor", required=True, help="name or id")
        parser.add_argument("--image", help="name or id; without one the server boots from a volume of --volume-size")
        parser.add_argument("--volume-size", type=int, default=1, metavar="GIB")
        parser.add_argument("--availability-zone", metavar="ZONE")
        parser.add_argument("--server-group", metavar="ID")
        parser.add_argument("--property", action="append", default=[], metavar="HINT=VALUE", help="a scheduler hint")
        return parser

    def take_action(self, parsed_args):
        manager = self.app.client_manager
        compute = Compute(manager)
        server = {"name": "explained", "flavorRef": compute.flavor_id(parsed_args.flavor), "networks": "none"}
        if parsed_args.image:
            server["imageRef"] = _image_id(manager, parsed_args.image)
        else:
            device = {"boot_index": 0, "source_type": "blank", "destination_type": "volume", "uuid": None}
            server["block_device_mapping_v2"] = [{**device, "volume_size": parsed_args.volume_size}]
        if parsed_args.availability_zone:
            server["availability_zone"] = parsed_args.availability_zone
        hints = dict(one.split("=", 1) for one in parsed_args.property)
        if parsed_args.server_group:
            hints["group"] = parsed_args.server_group
        body = {"server": server, **({"os:scheduler_hints": hints} if hints else {})}
        decision = compute.post("/scheduling/explain", body).json()["decision"]
        return _COLUMNS, _rows(decision)


class ShowScheduling(command.Lister):
    """Show how the host of a server was chosen the last time, or why none was."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument("server", help="name or id")
        return parser

    def take_action(self, parsed_args):
        compute = Compute(self.app.client_manager)
        server_id = compute.server_id(parsed_args.server)
        decisions = compute.get(f"/servers/{server_id}/scheduling").json()["decisions"]
        return _COLUMNS, _rows(decisions[0]) if decisions else []


def _image_id(manager, name):
    with contextlib.suppress(ValueError):
        return str(uuid.UUID(name))
    return manager.image.find_image(name, ignore_missing=False).id


def _rows(decision):
    """The stages, and what came of them as the last row."""
    rows = [(one["name"], one["hosts_before"], one["hosts_after"], _reasons(one)) for one in decision["stages"]]
    host = decision.get("host")
    outcome = decision["reason"] or (f"Chosen: {host}" if host else "There is a host.")
    return [*rows, ("=", decision["found"], 1 if decision["reason"] is None else 0, outcome)]


def _reasons(stage):
    """How many hosts were removed for each reason; who may not know hosts hears no reasons."""
    counted = Counter(one["reason"] for one in stage.get("dropped", ()))
    return "; ".join(f"{count} x {reason}" for reason, count in counted.most_common())
