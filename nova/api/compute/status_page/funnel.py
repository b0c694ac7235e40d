"""A scheduling decision as a picture: hosts come in on the left, each stage lets fewer through."""

import msgspec

from nova.structs.schedule import Decision, Stage

# Of the picture, in its own units.
_STAGE_WIDTH = 150
_HEIGHT = 100
# The thinnest line that is seen, for one host among thousands.
_THINNEST = 2


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A stage as a trapezoid: as high on each side as hosts stood there. points are those of an SVG polygon."""

    stage: Stage
    points: str
    x: int


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """width and height are of the picture. heaviest: the largest weight of a host, for bars."""

    sections: tuple[Section, ...]
    width: int
    height: int
    heaviest: float


def draw(decision: Decision) -> Funnel:
    """A decision without stages, such as that of a named host, has a picture without sections."""
    most = max((stage.before for stage in decision.stages), default=0)
    return Funnel(
        sections=tuple(_section(number, stage, most) for number, stage in enumerate(decision.stages)),
        width=_STAGE_WIDTH * len(decision.stages),
        height=_HEIGHT,
        heaviest=max((abs(host.weight) for host in decision.weighed), default=0.0) or 1.0,
    )


def _section(number: int, stage: Stage, most: int) -> Section:
    left, right = number * _STAGE_WIDTH, (number + 1) * _STAGE_WIDTH
    before, after = _half(stage.before, most), _half(stage.after, most)
    middle = _HEIGHT / 2
    corners = ((left, middle - before), (right, middle - after), (right, middle + after), (left, middle + before))
    return Section(stage=stage, points=" ".join(f"{x:g},{y:g}" for x, y in corners), x=left)


def _half(hosts: int, most: int) -> float:
    return max(_THINNEST, _HEIGHT * hosts / most) / 2 if hosts else 0.0
