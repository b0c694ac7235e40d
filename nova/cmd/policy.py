"""nova-policy: which of the Compute API's rules somebody passes.

nova-policy policy check --os-roles reader --os-project-id P --api-name servers:show
"""

import argparse
import sys

from nova import release
from nova.cmd import config_options
from nova.conf import BadConfiguration, load
from nova.http.policy import Policy
from nova.policies import compute
from nova.structs.context import Context


def main() -> int:
    arguments = parser().parse_args()
    try:
        conf = load(config_options.chosen(arguments))
    except BadConfiguration as error:
        print(f"nova-policy: {error}", file=sys.stderr)
        return 2
    roles = tuple(role.strip() for role in arguments.os_roles.split(",") if role.strip())
    context = Context(
        user_id=arguments.os_user_id,
        project_id=arguments.os_project_id,
        roles=roles,
        is_admin="admin" in roles,
    )
    target = {"project_id": context.project_id, "user_id": context.user_id}
    target |= dict(pair.split("=", 1) for pair in arguments.target if "=" in pair)
    policy = Policy(conf, compute.list_rules())
    names = [rule.name for rule in compute.list_rules() if ":" in rule.name and arguments.api_name in rule.name]
    for name in sorted(names):
        if policy.allows(context, name, target):
            print(name)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="nova-policy", description=__doc__)
    made.add_argument("--version", action="version", version=release.version())
    config_options.add(made)
    made.add_argument("words", nargs="*", help="policy check")
    made.add_argument("--api-name", default="", help="part of the rules' names")
    made.add_argument("--target", nargs="*", default=[], help="project_id=P or user_id=U of the thing acted on")
    made.add_argument("--os-roles", default="", help="the caller's roles, separated by commas")
    made.add_argument("--os-project-id", default="", help="the caller's project")
    made.add_argument("--os-user-id", default="", help="the caller")
    return made
