"""Who may do what at nova-network: members with what is their project's, administrators with everything.

Reading needs no rule: what a project may not see is not there for it.
"""

from oslo_policy import policy

_MEMBER = "role:admin or (role:member and project_id:%(project_id)s)"
_ADMIN = "role:admin"
_NOUNS = ("network", "subnet", "port", "security_group", "security_group_rule", "router", "floatingip")

# Only administrators of the cloud set these attributes.
_ADMIN_ATTRIBUTES = {
    "network": ("shared", "router:external", "is_default", "provider"),
    "port": ("id", "binding:host_id", "binding:profile"),
    "router": ("ha", "distributed", "enable_snat"),
}


def list_rules() -> list[policy.RuleDefault]:
    rules = []
    for noun in _NOUNS:
        for verb in ("create", "update", "delete"):
            rules.append(policy.RuleDefault(f"network:{verb}_{noun}", _MEMBER, f"{verb.capitalize()} a {noun}."))
        for attribute in _ADMIN_ATTRIBUTES.get(noun, ()):
            name = f"network:set_{noun}:{attribute}"
            rules.append(policy.RuleDefault(name, _ADMIN, f"Set {attribute} of a {noun}."))
    rules.append(policy.RuleDefault("network:see_everything", _ADMIN, "See what belongs to any project."))
    rules.append(policy.RuleDefault("network:agents", _ADMIN, "See the network hosts."))
    rules.append(policy.RuleDefault("network:update_quota", _ADMIN, "Set a project's limits."))
    return rules
