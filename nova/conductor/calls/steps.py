"""Operations between the engine and the hosts."""

from nova.conductor.core import Core
from nova.db import operations
from nova.structs.operation import StepAnswer, StepOrder


class EngineCalls:
    def __init__(self, core: Core) -> None:
        self._core = core

    def step_answered(self, answer: StepAnswer) -> None:
        self._core.engine.answered(answer)

    def unfinished_steps(self, hosts: list[str]) -> list[StepOrder]:
        return self._core.db.read(lambda c: operations.waiting_on(c, hosts))

    def ping(self) -> str:
        return self._core.name
