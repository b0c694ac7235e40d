"""What every call of the conductor works with."""

from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg

from nova.compute.interface import ComputeCalls
from nova.conductor.cloud import Cloud
from nova.conductor.engine import Engine
from nova.conductor.liveness import Liveness
from nova.db.database import Database


@dataclass(frozen=True)
class Core:
    """One conductor's parts. compute(host) reaches a host's daemon."""

    conf: cfg.ConfigOpts
    db: Database
    cloud: Cloud
    engine: Engine
    liveness: Liveness
    compute: Callable[[str], ComputeCalls]
    name: str
