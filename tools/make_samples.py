"""Write nova.conf.sample, policy.yaml.sample and options.md from the code: tools/make_samples.py [DIRECTORY].

Without a directory they go where they belong: etc/nova and doc.
"""

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import oslo_messaging
from oslo_config import cfg, generator

import nova.conf
from nova.conf import earlier, refused, upstream
from nova.policies import compute, network, placement

ROOT = Path(__file__).parent.parent
OPTIONS_HEAD = """# What becomes of upstream's options

A file that was written for upstream's nova works here: every option of its reference is honoured, read under its later
name, refused, or not needed. **Honoured**: `nova.conf.sample` says what it does. **Refused**: it asks for something that
this release does not give; no daemon starts with it, because guests or their users would miss it. **Not needed**: nothing
is missed without it; it is read over. An option that is not on this page is unknown. This page is made by
`tools/make_samples.py`; the libraries' own groups (`[oslo_messaging_rabbit]` and the like) are in their documentation."""
NAMESPACES = ("nova", "oslo.log", "oslo.messaging", "oslo.policy", "oslo.concurrency")


def configuration() -> str:
    """Every option of every daemon, commented out, with its help and default."""
    # As nova.rpc.bus has it.
    oslo_messaging.set_transport_defaults("nova")
    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf(args=[f"--namespace={name}" for name in NAMESPACES], default_config_files=[])
    text = io.StringIO()
    generator.generate(conf, text)
    return text.getvalue()


def policy() -> str:
    """Every rule, commented out, with its default."""
    lines = ["# Rules of the Compute, Placement and Networking APIs. What is not set here has the default shown."]
    for title, module in (("Compute", compute), ("Placement", placement), ("Networking (nova-network)", network)):
        lines += ["", f"# {title}"]
        lines += [f'#"{rule.name}": "{rule.check_str}"' for rule in module.list_rules()]
    return "\n".join(lines) + "\n"


def options() -> str:
    """What becomes of each option of upstream's nova.conf, as a page."""
    lines = [OPTIONS_HEAD]
    own = dict(nova.conf.list_options())
    elsewhere = {group for group, _ in [*refused.REFUSALS, *upstream.NEEDLESS]} | upstream.GROUPS.keys()
    for group in sorted(own.keys() | elsewhere):
        lines += ["", f"## [{group}]", ""]
        if group in own:
            names = sorted({option.dest for option in own[group]})
            lines += ["Honoured: " + ", ".join(f"`{name}`" for name in names) + ".", ""]
            lines += _translated(group, own[group])
        lines += _not_honoured(group)
    return "\n".join(lines).rstrip() + "\n"


def _translated(group: str, own: list[cfg.Opt]) -> list[str]:
    old = sorted(
        (f"[{before.group or group}] {before.name or option.name}", option.dest)
        for option in own
        for before in option.deprecated_opts
    )
    old = sorted({*old, *((f"[{was[0]}] {was[1]}", now[1]) for was, now in earlier.RENAMED.items() if now[0] == group)})
    lines = [f"| `{before}` | read as `{now}` |" for before, now in old]
    return ["| Earlier name | |", "|---|---|", *lines, ""] if lines else []


def _not_honoured(group: str) -> list[str]:
    rows = []
    if group in upstream.GROUPS:
        rows.append(f"| any other | not needed | {upstream.GROUPS[group]} |")
    for (where, name), why in upstream.NEEDLESS.items():
        if where == group:
            rows.append(f"| `{name}` | not needed | {why} |")
    for (where, name), refusal in refused.REFUSALS.items():
        if where == group:
            rows.append(f"| `{name}` | refused{_but_for(refusal)} | {refusal.why} |")
    return ["| Option | Here | Why |", "|---|---|---|", *sorted(rows), ""] if rows else []


def _but_for(refusal: refused.Refusal) -> str:
    values = [f"`{value}`" for value in refusal.harmless if value]
    return f" unless {' or '.join(values)}" if values else ""


def main() -> int:
    samples, doc = (Path(sys.argv[1]),) * 2 if len(sys.argv) > 1 else (ROOT / "etc" / "nova", ROOT / "doc")
    with redirect_stdout(sys.stderr):
        (samples / "nova.conf.sample").write_text(configuration())
        (samples / "policy.yaml.sample").write_text(policy())
        (doc / "options.md").write_text(options())
    return 0


if __name__ == "__main__":
    sys.exit(main())
