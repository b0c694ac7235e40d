"""Writes the pages of doc/reference before Sphinx reads them: what the code says of itself, and nobody by hand."""

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from unittest import mock

import make_manuals
import oslo_messaging
import yaml
from reference_api import api
from reference_text import cell, code, paragraphs, quoted, table

from nova import conf, errors, metrics
from nova.api.compute import MODULES
from nova.http.declaration import collect
from nova.notifications import table as notification_table
from nova.placement import errors as placement_errors
from nova.policies import compute, network, placement

ROOT = Path(__file__).parents[2]
# Libraries whose options stand in nova.conf beside ours.
_LIBRARIES = ("oslo.log", "oslo.messaging", "oslo.policy", "oslo.concurrency")


def options() -> str:
    """Every option of nova.conf by group."""
    # As nova.rpc.bus has it.
    oslo_messaging.set_transport_defaults("nova")
    groups: dict[str, dict[str, Any]] = defaultdict(dict)
    listed = [conf.list_options()]
    listed += [one.load()() for one in entry_points(group="oslo.config.opts") if one.name in _LIBRARIES]
    for group, found in (pair for pairs in listed for pair in pairs):
        # What two libraries share is one option.
        groups[getattr(group, "name", group) or "DEFAULT"] |= {one.dest: one for one in found}
    parts = ["# Configuration options", "Options of `nova.conf`, which all daemons read."]
    for group in sorted(groups, key=lambda name: (name != "DEFAULT", name)):
        parts.append(f"## [{group}]")
        parts += [_option(one) for _, one in sorted(groups[group].items())]
    return "\n\n".join(parts)


def _option(option: Any) -> str:
    default = option.sample_default if option.sample_default is not None else option.default
    facts = [getattr(option.type, "type_name", "value"), f"default {code(default)}" if default is not None else ""]
    choices = [code(one) for one in getattr(option.type, "choices", None) or ()]
    facts += [f"one of {', '.join(choices)}" if choices else "", "mutable" if option.mutable else ""]
    facts += ["deprecated" if option.deprecated_for_removal else ""]
    text = " ".join(paragraphs(option.help or "")) or "(no description)"
    return f"{code(option.dest)} ({'; '.join(filter(None, facts))})\n: {text}"


def policies() -> str:
    """Every rule with its default, and for the Compute API what it guards."""
    guarded: dict[str, list[str]] = defaultdict(list)
    for one in collect(*MODULES):
        if one.policy is not None:
            guarded[one.policy].append(code(f"{one.method} {one.path}" + (f" ({one.action})" if one.action else "")))
    parts = ["# Policies", "Rules of `policy.yaml`. `nova-policy` says which of them somebody passes."]
    for title, module in (("Compute", compute), ("Placement", placement), ("Networking (nova-network)", network)):
        parts.append(f"## {title}")
        parts += [_rule(one, guarded[one.name]) for one in module.list_rules()]
    return "\n\n".join(parts)


def _rule(rule: Any, guarded: list[str]) -> str:
    facts = [f"Default {code(rule.check_str)}"]
    facts += [f"Scope: {', '.join(rule.scope_types)}"] if rule.scope_types else []
    facts += [f"Guards {', '.join(guarded)}"] if guarded else []
    return f"{code(rule.name)}\n: {'. '.join(facts)}."


def commands() -> str:
    """Every command with its options, as its own parser knows them."""
    parts = ["# Commands"]
    # The first command with such options, by their help.
    seen: dict[str, str] = {}
    with mock.patch.dict(os.environ, {"COLUMNS": "100"}):
        for name, module in make_manuals.commands().items():
            text = (module.__doc__ or "").removeprefix(f"{name}: ")
            parts += [f"## {name}", *paragraphs(text[:1].upper() + text[1:])]
            for title, usage in _usages(make_manuals.parser_of(name, module), ""):
                same = seen.setdefault(" ".join(usage.replace(name, "").split()), name)
                parts.append(f"Its options are those of [{same}](#{same})." if same != name else _usage(title, usage))
    return "\n\n".join(parts)


def _usage(title: str, text: str) -> str:
    block = f"```text\n{text.rstrip()}\n```"
    return f"### {title}\n\n{block}" if title else block


def _usages(parser: argparse.ArgumentParser, title: str) -> Iterator[tuple[str, str]]:
    """The help of a command ("" as title) and of each of its commands."""
    yield title, parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _usages(one, one.prog)


def figures() -> str:
    """Every metric: its name, type, labels and meaning."""
    rows = []
    for metric in vars(metrics).values():
        if hasattr(type(metric), "describe"):
            [family] = metric.describe()
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            name = f"{family.name}{suffix}"
            labels = ", ".join(code(label) for label in getattr(metric, "_labelnames", ()))
            rows.append((code(name), family.type, labels, cell(family.documentation)))
    told = "What a daemon answers at `/metrics`, where `[DEFAULT] health_port` opens it, in Prometheus' format."
    return "\n\n".join(["# Metrics", told, table(("Metric", "Type", "Labels", "Meaning"), sorted(rows))])


def notifications() -> str:
    """Every type of notification, and what it tells of."""
    causes: dict[str, set[str]] = defaultdict(set)
    for kind, templates in notification_table.OTHERS.items():
        for one in templates:
            causes[one.event_type].add(f"event {code(kind)}")
    for operation, moments in notification_table.OPERATIONS.items():
        for one in (template for templates in moments.values() for template in templates):
            causes[one.event_type].add(f"operation {code(operation)}")
    rows = [
        (code(kind), ", ".join(sorted(causes[kind])) or "a change of state, or a step that failed")
        for kind in sorted(notification_table.event_types())
    ]
    told = "Versioned notifications. [Notifications](../notifications.md) says how to switch them on, and what differs."
    return "\n\n".join(["# Notification types", told, table(("Type", "Told by"), rows)])


def error_codes() -> str:
    """Every error of the Compute API and of Placement by its status."""
    ours = {(one.status, code(one.__name__), cell(one.text)) for one in _below(errors.DomainError)}
    placements = {(one.status, code(one.code)) for one in _below(placement_errors.PlacementError)}
    parts = [
        "# Errors",
        "## Compute",
        "Errors of the Compute API and of operations. What stands in braces is filled in.",
        table(("Status", "Error", "Message"), _by_status(ours)),
        "## Placement",
        "`code` in the body of an error tells more than its status.",
        table(("Status", "Code"), _by_status(placements)),
    ]
    return "\n\n".join(parts)


def _by_status(rows: Iterable[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return [(str(status), *others) for status, *others in sorted(rows)]


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        if one.__module__ == kind.__module__:
            yield one
            yield from _below(one)


_KINDS = {
    "prelude": "What it is about", "features": "New", "upgrade": "Before an upgrade", "security": "Security",
    "fixes": "Repaired", "deprecations": "Deprecated", "issues": "Known issues", "critical": "Critical",
    "other": "Other",
}  # fmt: skip


def release_notes() -> str:
    """What every release note says, by kind."""
    told: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "releasenotes" / "notes").glob("*.yaml")):
        for kind, notes in yaml.safe_load(path.read_text()).items():
            told[kind] += [notes] if isinstance(notes, str) else notes
    parts = ["# Release notes", "What users and operators notice since the first release."]
    for kind, title in _KINDS.items():
        if kind in told:
            parts += [f"## {title}", "\n".join(f"* {quoted(note)}" for note in told[kind])]
    return "\n\n".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "api": api,
    "options": options,
    "policies": policies,
    "commands": commands,
    "metrics": figures,
    "notifications": notifications,
    "errors": error_codes,
    "release-notes": release_notes,
}


def write(directory: Path) -> None:
    """Write every page that is not as it should be: Sphinx reads what changed."""
    directory.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = directory / f"{name}.md", f"{make()}\n"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("config-inited", lambda app, config: write(Path(app.srcdir) / "reference"))
    return {"parallel_read_safe": True}
