"""What a data set folder and a weights folder state about themselves: card.yaml."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from retake.schema.recipe import Pretrain
from retake.schema.strict import Strict, checked_as, read_yaml

Scale = Literal["mini", "paper"]


class File(Strict):
    """One file to download. Several sources with the same `file` are mirrors, tried in order."""

    url: str
    file: str  # its name under the release's root
    size: NonNegativeInt | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$")
    verified: bool = False  # whether the address was seen alive, on checked_on
    checked_on: str | None = None
    unpack: Literal["none", "zip", "tar"] = "none"
    into: str = "."  # folder under the root that an archive is unpacked into


class Expected(Strict):
    """What must be there once a release is complete."""

    path: str | list[str]  # glob, relative to the root; of a list, one is enough
    at_least: PositiveInt = 1


class Media(Strict):
    """Which files are the release's videos or pictures."""

    glob: str | list[str]
    # the video_id: the file's name without ending, or its path below the glob's fixed part
    id: Literal["stem", "path"] = "stem"
    suffixes: list[str] = []  # endings that count, in lower case (".mp4"); none given: all


class Mini(Strict):
    """The release that is made on the spot; options are read by the data set's mini.py."""

    splits: dict[str, PositiveInt] = {}
    options: dict[str, Any] = {}


class Card(Strict):
    """A data set: facts, no behaviour."""

    release: str | None = None  # whose bytes it reads; its own name when left out
    title: str
    licence: str
    notes: str | list[str] = []
    access: Literal["open", "form", "dead", "folder"]  # folder: the user's own videos
    checked_on: str | None = None
    sources: list[File] = []
    expects: list[Expected] = []
    media: Media | None = None
    tasks: list[str] = Field(min_length=1)
    splits: dict[str, PositiveInt] = {}  # published items per split
    counts: dict[str, PositiveInt] = {}
    lists_media: bool = False  # the parser lists the media files, so it depends on them too
    max_failures: float = Field(0.0, ge=0, le=1)  # share of the videos that may fail to decode
    shards: dict[Scale, PositiveInt] = {"mini": 1, "paper": 1}
    mini: Mini = Mini()

    @model_validator(mode="after")
    def complete(self) -> "Card":
        if set(self.shards) != {"mini", "paper"}:
            raise ValueError("shards: expected a number for mini and one for paper")
        if self.access == "open" and self.release is None and not self.sources:
            raise ValueError("access is open, so sources must say where from")
        return self

    def items_of(self, split: str, scale: str) -> int | None:
        """How many items the split has at this scale; None where the card does not say."""
        return (self.mini.splits if scale == "mini" and self.mini.splits else self.splits).get(split)


class HubFile(Strict):
    name: str
    size: NonNegativeInt | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


class Hub(Strict):
    """Where published weights lie: a repository of the model hub."""

    repo: str
    revision: str = "main"
    files: list[HubFile] = Field(min_length=1)


class WeightsAtPaper(Strict):
    model: dict[str, Any] = {}  # sizes


class WeightsAtMini(Strict):
    model: dict[str, Any]
    pretrain: Pretrain


class WeightsCard(Strict):
    """A foundation that methods start from: fetched at paper scale, pre-trained at mini scale."""

    title: str
    licence: str
    notes: str | list[str] = []
    layout: str  # whose key names model.safetensors has
    access: Literal["open", "form", "dead"] = "open"
    checked_on: str | None = None
    source: Hub
    paper: WeightsAtPaper
    mini: WeightsAtMini


def read_card(path: str | Path) -> Card:
    return checked_as(Card, read_yaml(path), path)


def read_weights_card(path: str | Path) -> WeightsCard:
    return checked_as(WeightsCard, read_yaml(path), path)
