"""openstack server watch: what happens to servers, as it happens."""

import json

from osc_lib.command import command

from nova_control_plane_commands.compute import Compute


class Watch(command.Command):
    """Follow what happens to the project's servers, or to one of them: a line for each event, until interrupted."""

    def get_parser(self, prog_name):
        parser = super().get_parser(prog_name)
        parser.add_argument("server", nargs="?", help="name or id; all of the project without one")
        parser.add_argument("--timeout", type=int, default=3600, metavar="SECONDS", help="stop then (3600 at most)")
        parser.add_argument("--after", type=int, metavar="NUMBER", help="begin behind this event; 0 is the first one")
        parser.add_argument("--all-projects", action="store_true", help="for administrators")
        return parser

    def take_action(self, parsed_args):
        compute = Compute(self.app.client_manager)
        server_id = compute.server_id(parsed_args.server) if parsed_args.server else None
        query = {"timeout": parsed_args.timeout}
        if parsed_args.after is not None:
            query["after"] = parsed_args.after
        if parsed_args.all_projects:
            query["all_projects"] = "true"
        # It is silent while nothing happens, so no time-out of the client's own may end it.
        answer = compute.get("/servers/events", params=query, stream=True)
        for kind, event in _events(answer.iter_lines(chunk_size=1, decode_unicode=True)):
            if server_id in (None, event.get("server_id")) or kind == "gap":
                print(_line(kind, event), file=self.app.stdout, flush=True)


def _events(lines):
    """The kind and the data of each Server-Sent Event."""
    kind = None
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: ") and kind is not None:
            yield kind, json.loads(line.removeprefix("data: "))


def _line(kind, event):
    if kind == "gap":
        return "Some events are lost: they were purged, or come from another database."
    words = [event.get("time", ""), str(event.get("number", "")), event.get("server_id", ""), kind]
    states = [str(event.get(name)) for name in ("vm_state", "task_state") if event.get(name)]
    step = [f"step {event['step']}"] if event.get("step") else []
    return " ".join([*words, *step, *states])
