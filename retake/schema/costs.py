"""What systems cost: which networks and what preparation they have, what is told of it, and the file that says it.

A system is the whole way from a coded video to scores, or a block: a part of the method's own network, alone. What
it costs is counted from its networks, which needs neither data nor weights, or timed on the machine at hand.
"""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from retake.schema.strict import Strict
from retake.schema.views import Name, Side

OPERATIONS, PAIRS = ("gflops",), ("pairs",)  # metrics of a cost of kind operations, and of kind pairs
RELATIVE = ("params_m", "gflops_x", "params_m_x")  # of kind operations, where it is told relative to a system
PARTS = (  # of kind parts
    *("blocks", "over_time", "kernel_frames", "kernel_px"),
    *("out_channels", "out_frames", "out_height", "out_width"),
)
TIMES = ("ms_prepare", "ms_prepare_many", "ms_in_turn", "ms_at_once")  # of kind time
STEPS = ("ms_step", "mb_kept")  # of kind step
COUNTED, TIMED = (*OPERATIONS, *RELATIVE, *PAIRS, *PARTS), (*TIMES, *STEPS)


class Pass(Strict):
    """One network of a system, and what goes through it."""

    network: str  # of timm, or one of retake.layers.networks
    arguments: dict[str, Any] = {}
    input: Annotated[
        list[PositiveInt], Field(min_length=3, max_length=4)
    ]  # channels, (frames,) height, width
    frames: tuple[PositiveInt, PositiveInt] = (1, 1)  # it sees so many of so many frames

    @model_validator(mode="after")
    def part_of_all(self) -> "Pass":
        if self.frames[0] > self.frames[1]:
            raise ValueError(f"frames: {self.frames[0]} of {self.frames[1]} cannot be seen")
        return self


class Prepare(Strict):
    """What is made of a coded video before a network sees it: signals of its frames, or optical flow."""

    signals: list[Literal["rgb", "iframe", "motion", "residual", "motion_step", "residual_step"]] = []
    flow: Literal["tvl1"] | None = None

    @model_validator(mode="after")
    def one_way(self) -> "Prepare":
        if bool(self.signals) == (self.flow is not None):
            raise ValueError("expected either signals or flow")
        return self


class System(Strict):
    """Networks with what is prepared for them; or a block, which the method's blocks.py makes of these arguments."""

    label: str | None = None
    prepare: Prepare | None = None
    networks: list[Pass] = []
    block: dict[str, Any] | None = None
    parts: list[str] = []  # names of modules of its only network, as "layer1.*": the part that is meant

    @model_validator(mode="after")
    def parts_of_one(self) -> "System":
        if self.parts and len(self.networks) != 1:
            raise ValueError(f"parts: of one network, not of {len(self.networks)}")
        return self

    @model_validator(mode="after")
    def one_kind(self) -> "System":
        if bool(self.networks) == (self.block is not None):
            raise ValueError("expected either networks or a block")
        if self.block is not None and self.prepare is not None:
            raise ValueError("prepare: nothing is prepared for a block")
        return self


class OperationsCost(Strict):
    """Multiply-adds of the networks, in 10^9: of one pass, or the mean over the frames that `frames` speaks of.

    relative_to  a system: parameters are counted too, and both are told over that system's
    """

    kind: Literal["operations"]
    systems: list[Name] = Field(min_length=1)
    relative_to: Name | None = None
    of: ClassVar[str] = "networks"

    @model_validator(mode="after")
    def relative_to_one_of_them(self) -> "OperationsCost":
        if self.relative_to is not None and self.relative_to not in self.systems:
            raise ValueError(f"relative_to: {self.relative_to!r} is not among the systems")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        return OPERATIONS if self.relative_to is None else (*OPERATIONS, *RELATIVE)


class TimeCost(Strict):
    """Milliseconds a frame, each the median over repeats."""

    kind: Literal["time"]
    systems: list[Name] = Field(min_length=1)
    size: tuple[Side, Side]  # height and width of the video that is made to be prepared
    gop: Annotated[int, Field(ge=2, le=600)] = 12
    quality: Annotated[int, Field(ge=1, le=31)] = 1
    frames: Annotated[int, Field(ge=2)]  # of that video
    pairs: PositiveInt  # of frames between which flow is computed
    videos: PositiveInt  # whose frames go through a network together
    repeats: PositiveInt
    of: ClassVar[str] = "networks"

    @property
    def metrics(self) -> tuple[str, ...]:
        return TIMES


class PairsCost(Strict):
    """Pairs of a query and a key that blocks of attention compare: what their cost grows with."""

    kind: Literal["pairs"]
    systems: list[Name] = Field(min_length=1)
    block: dict[str, Any] = {}  # arguments of every system's block that it does not give itself
    of: ClassVar[str] = "block"

    @property
    def metrics(self) -> tuple[str, ...]:
        return PAIRS


class PartsCost(Strict):
    """What parts of a network are made of, and what each gives, at the sizes of its input: counted."""

    kind: Literal["parts"]
    systems: list[Name] = Field(min_length=1)
    of: ClassVar[str] = "parts"

    @property
    def metrics(self) -> tuple[str, ...]:
        return PARTS


class StepCost(Strict):
    """Of blocks, forward and backward: milliseconds, the median over repeats, and memory kept in between."""

    kind: Literal["step"]
    systems: list[Name] = Field(min_length=1)
    block: dict[str, Any] = {}  # arguments of every system's block that it does not give itself
    repeats: PositiveInt
    of: ClassVar[str] = "block"

    @property
    def metrics(self) -> tuple[str, ...]:
        return STEPS


Cost = Annotated[OperationsCost | TimeCost | PairsCost | PartsCost | StepCost, Field(discriminator="kind")]


class CostFile(Strict):
    """What one cost of a method came to. No times of day, no commit."""

    method: str
    cost: str
    kind: Literal["operations", "time", "pairs", "parts", "step"]
    machine: str | None  # what it was timed on, in words; nothing where it was counted
    values: dict[str, dict[str, float]]  # system -> metric -> value

    @property
    def timed(self) -> bool:
        return self.machine is not None

    @classmethod
    def read(cls, path: str | Path) -> "CostFile":
        return cls.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


class CostRow(Strict):
    """Rows of a table that tell what systems cost, one a system."""

    cost: Name
    systems: list[Name] = []  # left out: all of that cost
    metrics: list[str] = Field(min_length=1)
