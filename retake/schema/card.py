"""What a data set folder and a weights folder state about themselves: card.yaml."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from retake.schema.pretrain import Pretrain
from retake.schema.strict import SettingError, Strict, checked_as, read_yaml

Scale = Literal["mini", "paper"]
TOKENIZERS = {"bpe": ("vocab.json", "merges.txt"), "wordpiece": ("vocab.txt",)}  # the files of each kind


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
    counts: dict[str, PositiveInt] = {}
    options: dict[str, Any] = {}


class Submission(Strict):
    """What a server scores: the splits, and the ending of the file that submission.py writes for it."""

    splits: list[str] = Field(min_length=1)
    form: Literal["csv", "json", "txt"]


class Card(Strict):
    """A data set: facts, no behaviour. What a reading of another's release leaves out is as in that card."""

    submission: Submission | None = None  # to a server, where labels are not published
    release: str | None = None  # whose bytes it reads; its own name when left out
    fold: PositiveInt | None = None  # which of the published ways to split the release
    labels: str | None = None  # which of the release's kinds of labels
    title: str
    licence: str
    notes: str | list[str] = []
    # packed: in archives that nothing here opens; folder: the user's own videos
    access: Literal["open", "form", "packed", "dead", "folder"]
    checked_on: str | None = None
    sources: list[File] = []
    expects: list[Expected] = []
    media: Media | None = None
    tasks: list[str]  # none: a release only, which its readings name
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
        if self.release is not None and not self.tasks:
            raise ValueError("tasks: expected what is asked of the release that it reads")
        if self.submission and (unknown := sorted(set(self.submission.splits) - set(self.splits))):
            raise ValueError(f"submission.splits: {unknown[0]!r}; the card has {', '.join(self.splits)}")
        return self

    def items_of(self, split: str, scale: str) -> int | None:
        """How many items the split has at this scale; None where the card does not say."""
        return (self.mini.splits if scale == "mini" and self.mini.splits else self.splits).get(split)

    def count(self, name: str, scale: str) -> int | None:
        """How many there are of what `counts` calls `name`; None where the card does not say."""
        return (self.mini.counts if scale == "mini" else self.counts).get(name)


class HubFile(Strict):
    name: str
    url: str | None = None  # where it lies, if not in the hub's repository
    # the file that is made of it: pickled tensors are read once, by a reader that runs no code, and rewritten, as
    # are those whose names or shapes the folder's convert.py puts right
    becomes: Literal["model.safetensors"] | None = None
    size: NonNegativeInt | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")


class Hub(Strict):
    """Where published weights lie: a repository of the model hub, or addresses of their own; without either, in a
    folder that the user names.
    """

    repo: str | None = None
    revision: str = "main"
    files: list[HubFile] = Field(min_length=1)

    @property
    def known(self) -> bool:
        """Whether every file has an address."""
        return self.repo is not None or all(file.url for file in self.files)


class WeightsAtPaper(Strict):
    model: dict[str, Any] = {}  # sizes


class WeightsAtMini(Strict):
    """A small network that is trained here, or the name of a foundation that is small enough for both."""

    model: dict[str, Any] = {}
    pretrain: Pretrain | None = None
    same_as: str | None = None

    @model_validator(mode="after")
    def one_of_two(self) -> "WeightsAtMini":
        if (self.pretrain is None) == (self.same_as is None):
            raise ValueError("expected model and pretrain, or same_as")
        return self


class WeightsCard(Strict):
    """A foundation that methods start from: fetched at paper scale, pre-trained at mini scale."""

    title: str
    licence: str
    notes: str | list[str] = []
    layout: str  # whose key names model.safetensors has
    tokenizer: list[str] = []  # files beside model.safetensors: [vocab.json, merges.txt] or [vocab.txt]
    access: Literal["open", "form", "dead"] = "open"
    checked_on: str | None = None
    source: Hub
    paper: WeightsAtPaper
    mini: WeightsAtMini

    @model_validator(mode="after")
    def can_be_brought(self) -> "WeightsCard":
        if self.tokenizer and self.tokenizer not in (known := [list(one) for one in TOKENIZERS.values()]):
            raise ValueError(f"tokenizer: expected {' or '.join(map(str, known))}, not {self.tokenizer}")
        if absent := set(self.tokenizer) - {file.name for file in self.source.files}:
            raise ValueError(f"tokenizer: {min(absent)} is not among source.files")
        if self.access == "open" and not self.source.known:
            raise ValueError("source.repo: missing; access is open, so it must say where from")
        return self


def read_card(path: str | Path) -> Card:
    """The card of a data set, completed by the one of the release that it reads, whose folder lies beside it.

    A key of its own replaces the release's whole. Raises SettingError that names file and key.
    """
    path, raw = Path(path), read_yaml(path)
    release = raw.get("release") if isinstance(raw, dict) else None
    if release is not None and release != path.parent.name:
        beside = path.parent.parent / str(release) / "card.yaml"
        if not beside.is_file():
            raise SettingError(f"{path}: release: no data set {release!r}; expected {beside}")
        base = read_yaml(beside)
        checked_as(Card, base, beside)  # what is wrong there is said of there
        raw = {**base, **raw}
    return checked_as(Card, raw, path)


def read_weights_card(path: str | Path) -> WeightsCard:
    return checked_as(WeightsCard, read_yaml(path), path)
