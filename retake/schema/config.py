"""What config.yaml may say: what to run, at which scale, where data lie."""

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from retake.schema.strict import Strict


class Entry(Strict):
    method: str
    datasets: list[str] = Field(min_length=1)


class Own(Strict):
    """Your own videos: a folder of files, and a CSV with the columns video, split, and caption or label."""

    videos: str  # folder
    captions: str | None = None  # CSV; left out: every video is split test and has no caption
    labels: str | None = None  # CSV of classes by name, in the place of captions

    # where their captions come from when nothing is trained on them
    caption_with: list["CaptionWith"] = []
    label_with: list[str] = []  # labellers of the recipes that write a pseudolabel for each chunk of them

    @model_validator(mode="after")
    def one_table(self) -> "Own":
        if self.captions is not None and self.labels is not None:
            raise ValueError("own: expected captions or labels, found both")
        return self

    @property
    def tables(self) -> dict[str, str]:
        """What is said of the videos, by its key."""
        return {key: path for key in ("captions", "labels") if (path := getattr(self, key)) is not None}


class CaptionWith(Strict):
    """A trained checkpoint that captions the videos of `own`."""

    method: str
    variant: str
    dataset: str
    protocol: str
    seed: PositiveInt = 1


class Tracking(Strict):
    store: str | None = None  # an MLflow store; left out: sqlite:///mlflow.db


class Config(Strict):
    scale: Literal["mini", "paper"]  # mini: everything is made here; paper: the real thing
    seeds: list[PositiveInt] = Field(min_length=1)  # of every table that names none itself
    run: list[Entry] = Field(min_length=1)  # methods, and the data sets to run them on
    folders: dict[str, str] = {}  # release, or weights/<name> -> a folder that you have
    own: Own | None = None
    judgements: dict[str, str] = {}  # data set -> a CSV of what people said of its labels; see judge_labels
    mini_world: dict[str, float | int | str] = {}  # laid over every mini release's options
    mini_size: float = Field(1.0, gt=0)  # how many times a mini split's own size is made; shards grow with it
    max_steps: PositiveInt | None = None  # optimiser steps a stage at most: to try a recipe out
    devices: PositiveInt = 1  # GPUs of one training at paper scale
    mlflow: Tracking = Tracking()

    @model_validator(mode="after")
    def said_once(self) -> "Config":
        methods = [entry.method for entry in self.run]
        if twice := {m for m in methods if methods.count(m) > 1}:
            raise ValueError(f"run: method {sorted(twice)[0]!r} stands twice")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: a seed stands twice")
        return self


Own.model_rebuild()
