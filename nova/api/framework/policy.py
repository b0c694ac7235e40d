"""Who may do what: oslo.policy with upstream's rule names, defaults and overrides by policy.yaml."""

from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from nova import errors
from nova.structs.context import Context


class Policy:
    """The rules of one service."""

    def __init__(self, conf: cfg.ConfigOpts, rules: Iterable[policy.RuleDefault]) -> None:
        opts._register(conf)
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.suppress_deprecation_warnings = True
        self._enforcer.register_defaults(rules)
        self._enforcer.load_rules()

    def allows(self, context: Context, rule: str, target: Mapping[str, Any]) -> bool:
        try:
            return bool(self._enforcer.authorize(rule, dict(target), context.policy_credentials()))
        except policy.InvalidScope:
            return False

    def check(self, context: Context, rule: str, target: Mapping[str, Any]) -> None:
        """Raises PolicyDenied, which names the rule."""
        if not self.allows(context, rule, target):
            raise errors.PolicyDenied(action=rule)
