"""Policy rules of the Placement API: upstream's names and defaults, and one rule of our own.

Source: Placement policies reference. A rule that names an operation here guards exactly that one.
"""

from oslo_policy import policy

_PROJECT = ["project"]
_OLD_ADMIN = policy.DeprecatedRule(
    name="rule:admin_api",
    check_str="role:admin",
    deprecated_reason="The service role may call Placement, and projects may read their own usage.",
    deprecated_since="W",
)

_BASE = [
    policy.RuleDefault("admin_api", "role:admin", "Default rule for most placement APIs.", scope_types=_PROJECT),
    policy.RuleDefault(
        "service_api",
        "role:service",
        "Default rule for service-to-service placement APIs.",
        scope_types=_PROJECT,
        deprecated_rule=_OLD_ADMIN,
    ),
    policy.RuleDefault(
        "admin_or_service_api",
        "role:admin or role:service",
        "Default rule for most placement APIs.",
        scope_types=_PROJECT,
        deprecated_rule=_OLD_ADMIN,
    ),
    policy.RuleDefault(
        "project_reader_api",
        "role:reader and project_id:%(project_id)s",
        "Default rule for reading what belongs to the caller's project.",
        deprecated_rule=_OLD_ADMIN,
    ),
    policy.RuleDefault(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        "Default rule for reading a project's usage.",
        scope_types=_PROJECT,
        deprecated_rule=_OLD_ADMIN,
    ),
]

_PROVIDER = "/resource_providers/{uuid}"
_INVENTORY = "/resource_providers/{uuid}/inventories/{resource_class}"

# Name without "placement:", what it lets one do, and the operations it guards.
_ADMIN_OR_SERVICE = [
    ("resource_providers:list", "List resource providers.", [("GET", "/resource_providers")]),
    ("resource_providers:create", "Create a resource provider.", [("POST", "/resource_providers")]),
    ("resource_providers:show", "Show a resource provider.", [("GET", _PROVIDER)]),
    ("resource_providers:update", "Update a resource provider.", [("PUT", _PROVIDER)]),
    ("resource_providers:delete", "Delete a resource provider.", [("DELETE", _PROVIDER)]),
    ("resource_classes:list", "List resource classes.", [("GET", "/resource_classes")]),
    ("resource_classes:create", "Create a resource class.", [("POST", "/resource_classes")]),
    ("resource_classes:show", "Show a resource class.", [("GET", "/resource_classes/{name}")]),
    ("resource_classes:update", "Update a resource class.", [("PUT", "/resource_classes/{name}")]),
    ("resource_classes:delete", "Delete a resource class.", [("DELETE", "/resource_classes/{name}")]),
    ("resource_providers:inventories:list", "List a provider's inventories.", [("GET", f"{_PROVIDER}/inventories")]),
    ("resource_providers:inventories:create", "Add an inventory.", [("POST", f"{_PROVIDER}/inventories")]),
    ("resource_providers:inventories:show", "Show an inventory.", [("GET", _INVENTORY)]),
    (
        "resource_providers:inventories:update",
        "Update inventories.",
        [("PUT", f"{_PROVIDER}/inventories"), ("PUT", _INVENTORY)],
    ),
    (
        "resource_providers:inventories:delete",
        "Delete inventories.",
        [("DELETE", f"{_PROVIDER}/inventories"), ("DELETE", _INVENTORY)],
    ),
    ("resource_providers:aggregates:list", "List a provider's aggregates.", [("GET", f"{_PROVIDER}/aggregates")]),
    ("resource_providers:aggregates:update", "Set a provider's aggregates.", [("PUT", f"{_PROVIDER}/aggregates")]),
    ("resource_providers:usages", "Show a provider's usages.", [("GET", f"{_PROVIDER}/usages")]),
    ("traits:list", "List traits.", [("GET", "/traits")]),
    ("traits:show", "Show a trait.", [("GET", "/traits/{name}")]),
    ("traits:update", "Create a trait.", [("PUT", "/traits/{name}")]),
    ("traits:delete", "Delete a trait.", [("DELETE", "/traits/{name}")]),
    ("resource_providers:traits:list", "List a provider's traits.", [("GET", f"{_PROVIDER}/traits")]),
    ("resource_providers:traits:update", "Set a provider's traits.", [("PUT", f"{_PROVIDER}/traits")]),
    ("resource_providers:traits:delete", "Remove a provider's traits.", [("DELETE", f"{_PROVIDER}/traits")]),
    ("allocations:manage", "Set allocations of several consumers.", [("POST", "/allocations")]),
    ("allocations:list", "List a consumer's allocations.", [("GET", "/allocations/{consumer_uuid}")]),
    ("allocations:update", "Set a consumer's allocations.", [("PUT", "/allocations/{consumer_uuid}")]),
    ("allocations:delete", "Delete a consumer's allocations.", [("DELETE", "/allocations/{consumer_uuid}")]),
    ("resource_providers:allocations:list", "List a provider's allocations.", [("GET", f"{_PROVIDER}/allocations")]),
    ("allocation_candidates:list", "List allocation candidates.", [("GET", "/allocation_candidates")]),
]


def _rule(name: str, check: str, description: str, operations: list[tuple[str, str]]) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=f"placement:{name}",
        check_str=check,
        description=description,
        operations=[{"method": method, "path": path} for method, path in operations],
        scope_types=_PROJECT,
    )


def list_rules() -> list[policy.RuleDefault]:
    """Every rule of the Placement API, base rules first."""
    return [
        *_BASE,
        *(_rule(name, "rule:admin_or_service_api", text, operations) for name, text, operations in _ADMIN_OR_SERVICE),
        _rule(
            "usages", "rule:admin_or_project_reader_or_service_api", "Show a project's usages.", [("GET", "/usages")]
        ),
        _rule("reshaper:reshape", "rule:service_api", "Reshape inventories and allocations.", [("POST", "/reshaper")]),
        # Not upstream's: guards an operation that upstream does not have.
        _rule(
            "allocation_candidates:explain",
            "rule:admin_api",
            "Explain which providers are no candidates, and why.",
            [("GET", "/allocation_candidates/explain")],
        ),
    ]
