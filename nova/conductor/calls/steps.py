"""Operations between the engine and the hosts."""

from nova.conductor.core import Core
from nova.structs.operation import StepAnswer


class EngineCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def step_answered(self, answer: StepAnswer) -> None:
        self._core.engine.answered(answer)

    def ping(self) -> str:
        return self._core.name
