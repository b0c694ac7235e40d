"""A pool as a program, until it is told to end: python -m tests.simulators.xenserver PORT DIRECTORY PASSWORD [HOST ...]."""

import signal
import sys
from pathlib import Path

from tests.simulators.xenserver.pool import Pool

port, directory, password, *hosts = sys.argv[1:]
Path(directory).mkdir(parents=True, exist_ok=True)
pool = Pool(tuple(hosts) or ("xen1",), port=int(port), directory=Path(directory), password=password)
print(" ".join(pool.url_of(name) for name in pool.hosts), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
try:
    signal.pause()
finally:
    pool.close()
