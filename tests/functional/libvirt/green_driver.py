"""Run by a test in a process of its own: the driver under eventlet, as nova-compute has it.

Suspends a guest, which takes libvirt a while, and counts how often another green thread got its turn meanwhile.
"""

import sys

from nova import backend

backend.choose("eventlet")

import threading
import time

from nova.conf import load
from nova.structs.instance import PowerState
from nova.virt.libvirt import LibvirtDriver


def main() -> None:
    uri, instances_path, guest = sys.argv[1:]
    conf = load([], [])
    conf.set_override("connection_uri", uri, "libvirt")
    conf.set_override("instances_path", instances_path)
    driver = LibvirtDriver(conf)
    driver.start()
    turns, is_over = [], threading.Event()

    def take_turns() -> None:
        while not is_over.is_set():
            turns.append(time.monotonic())
            time.sleep(0.01)

    ticker = threading.Thread(target=take_turns)
    ticker.start()
    driver.set_power(guest, PowerState.SUSPENDED)
    is_over.set()
    ticker.join()
    print(driver.guest(guest).power_state.name, len(turns), flush=True)


if __name__ == "__main__":
    main()
