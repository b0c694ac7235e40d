"""Load a cloud while its parts are killed and brought back, and see that nothing is stuck and nothing was lost.

    tools/soak.py --kills 100                real guests that are moved, rebuilt, shelved ... meanwhile
    tools/soak.py --minutes 60 --seed 7      the same kills and requests as any other run with this seed
    tools/soak.py --pause 1 --away 2         many kills, for fake hosts

The cloud is the one of CLOUD_DIR, made by `tools/cloud.sh up --distributed` with `--hosts 2` or `--fake-hosts 4`. Guests are
made of the image `tiny`, which counts on its disk how often it booted: a count that falls is data that were lost; fake
guests do the same. Prints what it kills,
what it asks for and every violation; the exit status is 0 when there was none.
"""

import argparse
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from soaking.cloud import Cloud
from soaking.invariants import violations
from soaking.killer import Count, Killer
from soaking.life import Life
from soaking.report import Report

_TICK_S = 0.5
_RESTS_WITHIN_S = 120


def main() -> int:
    arguments = _arguments()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(4))
    report = Report(seed)
    cloud = Cloud()
    killers = [
        Killer(
            cloud, random.Random(f"{seed}.killer.{number}"), report, arguments.victims, arguments.pause, arguments.away
        )
        for number in range(arguments.at_once)
    ]
    lives = [
        Life(cloud, random.Random(f"{seed}.{number}"), report, f"soak-{number}") for number in range(arguments.servers)
    ]
    cloud.lift_quota()
    for life in lives:
        life.patiently(life.clear)
    # What others have left is not what this run did.
    before = set(violations(cloud))
    for line in sorted(before):
        print(f"before: {line}", flush=True)
    _run(killers, lives, arguments)
    _check(cloud, lives, report, before)
    cloud.end_group()
    cloud.restore_quota()
    cloud.parts.close()
    return report.sum_up()


def _check(cloud: Cloud, lives: list[Life], report: Report, before: set[str]) -> None:
    """Bring all back and look at the cloud at rest; then delete the servers and look at it again."""
    for line in cloud.start_all():
        report.violation(line)
    for life in lives:
        life.patiently(life.settle)
    for line in cloud.wait_until_empty(lambda: _new(cloud, before), _RESTS_WITHIN_S):
        report.violation(line)
    for life in lives:
        life.patiently(life.end)
    for line in cloud.wait_until_empty(lambda: _new(cloud, before), _RESTS_WITHIN_S):
        report.violation(f"after all were deleted: {line}")


def _new(cloud: Cloud, before: set[str]) -> list[str]:
    return [line for line in violations(cloud) if line not in before]


def _run(killers: list[Killer], lives: list[Life], arguments: argparse.Namespace) -> None:
    """Load and kill until there were enough kills, or the time is up."""
    is_over = threading.Event()
    # A run that is interrupted is checked and counted all the same.
    signal.signal(signal.SIGINT, lambda *_: is_over.set())
    threads = [threading.Thread(target=life.run, args=(is_over,), daemon=True) for life in lives]
    count = Count(arguments.kills)
    threads += [threading.Thread(target=killer.run, args=(is_over, count), daemon=True) for killer in killers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + arguments.minutes * 60
    while not is_over.wait(_TICK_S) and time.monotonic() < deadline:
        pass
    is_over.set()
    for thread in threads:
        thread.join()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long at most")
    parser.add_argument("--kills", type=int, help="end after this many; as many as there is time for when not given")
    parser.add_argument("--servers", type=int, default=3, help="how many live at once")
    parser.add_argument(
        "--victims", default="*", help="a pattern of the parts to kill; a host's name is the whole host"
    )
    parser.add_argument("--at-once", type=int, default=1, help="how many parts may be away at the same time")
    parser.add_argument("--pause", type=float, default=8, help="seconds between two kills, on average")
    parser.add_argument("--away", type=float, default=6, help="seconds that a part is away, at most")
    parser.add_argument("--seed", type=int, help="as an earlier run printed it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
