"""Who may do what at nova-network: members with what is their project's, administrators with everything.

Reading needs no rule: what a project may not see is not there for it, and who has no project sees nothing.
"""

from oslo_policy import policy

_MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
_ADMIN = "role:admin"
# A domain is no project, and whoever administers one does not administer the cloud.
_SCOPES = ["system", "project"]
_NOUNS = ("network", "subnet", "port", "security_group", "security_group_rule", "router", "floatingip")

# Only administrators of the cloud set these attributes.
_ADMIN_ATTRIBUTES = {
    "network": ("shared", "router:external", "is_default", "provider"),
    "port": ("id", "binding:host_id", "binding:profile"),
    "router": ("ha", "distributed", "enable_snat"),
    "floatingip": ("floating_ip_address",),
}


def list_rules() -> list[policy.RuleDefault]:
    rules: list[policy.RuleDefault] = []

    def add(name: str, check: str, description: str) -> None:
        rules.append(policy.RuleDefault(name, check, description, scope_types=list(_SCOPES)))

    for noun in _NOUNS:
        for verb in ("create", "update", "delete"):
            add(f"network:{verb}_{noun}", _MEMBER, f"{verb.capitalize()} a {noun}.")
        for attribute in _ADMIN_ATTRIBUTES.get(noun, ()):
            add(f"network:set_{noun}:{attribute}", _ADMIN, f"Set {attribute} of a {noun}.")
    add("network:see_everything", _ADMIN, "See what belongs to any project.")
    add("network:agents", _ADMIN, "See the network hosts.")
    add("network:update_quota", _ADMIN, "Set a project's limits.")
    return rules
