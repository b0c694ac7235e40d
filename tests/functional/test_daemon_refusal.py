"""A daemon whose service finds out that it must not work ends, and says why."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from nova import daemon

class Refusing:
    refusal = None

    def start(self):
        self.refusal = "this machine is another host: run nova-manage"

    def stop(self):
        print("stopped")

daemon.run("nova-compute", lambda conf: [Refusing()], argv=["--config-file", "{path}"])
"""


def test_the_daemon_ends_with_the_status_of_an_unusable_configuration(tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text("[DEFAULT]\n")

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM.replace("{path}", str(path))],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parent.parent.parent,
    )

    assert done.returncode == 2
    assert "run nova-manage" in done.stdout + done.stderr
    assert "stopped" in done.stdout
