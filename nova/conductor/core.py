"""What every call of the conductor works with."""

from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg

from nova.conductor.engine.engine import Engine
from nova.conductor.engine.liveness import Liveness
from nova.conductor.engine.step_context import StepContext
from nova.conductor.host_questions import HostQuestions
from nova.db.engine import Database
from nova.rpc.compute import ComputeCalls


@dataclass(frozen=True)
class Core:
    """One conductor's parts. compute(host) reaches a host's daemon; questions of users go by `questions`."""

    conf: cfg.ConfigOpts
    db: Database
    step_context: StepContext
    engine: Engine
    liveness: Liveness
    compute: Callable[[str], ComputeCalls]
    questions: HostQuestions
    name: str
