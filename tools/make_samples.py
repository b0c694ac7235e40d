"""Write etc/nova/nova.conf.sample and etc/nova/policy.yaml.sample from the code: tools/make_samples.py [DIRECTORY]."""

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import oslo_messaging
from oslo_config import cfg, generator

from nova.policies import compute, network, placement

ROOT = Path(__file__).parent.parent
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


def main() -> int:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "etc" / "nova"
    with redirect_stdout(sys.stderr):
        (directory / "nova.conf.sample").write_text(configuration())
        (directory / "policy.yaml.sample").write_text(policy())
    return 0


if __name__ == "__main__":
    sys.exit(main())
