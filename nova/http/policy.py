"""Who may do what: oslo.policy with upstream's rule names, defaults and overrides by policy.yaml."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_policy import opts, policy

from nova import errors
from nova.structs.context import Context

# policy.yaml is looked at again this often; oslo.policy itself would look at every question.
_RELOAD_S = 5.0
_REMEMBERED = 10000


class Policy:
    """The rules of one service. A question is answered once: the same caller, rule and target mean
    the same answer until the rules are read again."""

    def __init__(self, conf: cfg.ConfigOpts, rules: Iterable[policy.RuleDefault]) -> None:
        opts._register(conf)
        self._enforcer = policy.Enforcer(conf)
        self._enforcer.suppress_deprecation_warnings = True
        self._enforcer.suppress_default_change_warnings = True
        self._enforcer.register_defaults(list(rules))
        self._answers: dict[Any, bool] = {}
        self._asked_until = 0.0

    def allows(self, context: Context, rule: str, target: Mapping[str, Any]) -> bool:
        if time.monotonic() >= self._asked_until or len(self._answers) > _REMEMBERED:
            self._answers = {}
            self._asked_until = time.monotonic() + _RELOAD_S
        key = (rule, _identity(context), tuple(target.items()))
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._ask(context, rule, target)
        return known

    def check(self, context: Context, rule: str, target: Mapping[str, Any]) -> None:
        """Raises PolicyDenied, which names the rule."""
        if not self.allows(context, rule, target):
            raise errors.PolicyDenied(action=rule)

    def _ask(self, context: Context, rule: str, target: Mapping[str, Any]) -> bool:
        try:
            return bool(self._enforcer.authorize(rule, dict(target), context.policy_credentials()))
        except policy.InvalidScope:
            return False


def _identity(context: Context) -> tuple[Any, ...]:
    """Everything of a caller that a rule can ask for."""
    return (
        context.user_id,
        context.project_id,
        context.roles,
        context.is_admin,
        context.system_scope,
        context.domain_id,
        context.user_domain_id,
        context.project_domain_id,
        context.service_roles,
    )
