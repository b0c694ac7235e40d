"""The AWS CLI, as the README has it."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.functional.keystone import SECRET

README = Path(__file__).resolve().parents[3] / "README.rst"


def example():
    """The README's commands for the EC2 API: the lines from the one that says where it is to the empty one."""
    [found] = re.findall(r"^    ec2=.*?\n\n", README.read_text(), re.M | re.S)
    return [line.strip() for line in found.splitlines() if line]


def test_the_example_of_the_readme_does_what_it_says(api, tmp_path):
    first, *commands = example()
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": "user:project",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "nova",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LC_ALL": "C.UTF-8",
    }
    script = "\n".join(["set -e", first.replace("http://127.0.0.1:8773", api.address), *commands[:-1]])
    # What an end prints is told apart from what comes before.
    script += f"\necho ===\n{commands[-1]}\n"

    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
    shown, ended = (json.loads(part) for part in done.stdout.split("===\n"))
    assert [address.startswith("10.1.0.") for address in shown] == [True]
    [instance] = ended["TerminatingInstances"]
    assert instance["PreviousState"]["Name"] == "running"
