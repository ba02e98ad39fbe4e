"""A small project of an invented method, so that the plan's tests stand on no recipe of ours."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

MODEL = """
PREPARED = ("vocabulary",)


def build(*, width: int, dropout: float, vocabulary: list):
    pass
"""
CARD = {
    "title": "Clips",
    "licence": "none",
    "access": "open",
    "sources": [{"url": "http://localhost/clips.zip", "file": "clips.zip"}],
    "media": {"glob": "*.mp4"},
    "tasks": ["caption"],
    "splits": {"train": 1200, "test": 670},
    "shards": {"mini": 2, "paper": 40},
    "mini": {"splits": {"train": 40, "test": 20}, "options": {"captions_per_video": 3}},
}
STAGE = {
    "data": [{"view": "frames16"}],
    "trainable": ["*"],
    "optimiser": {"name": "adam", "groups": [{"match": "*", "lr": 0.1}]},
    "length": {"epochs": 2},
    "batch": {"effective": 8, "at_once": 4},
}
RECIPE = {
    "paper": {"key": "p", "title": "Pulse", "authors": "nobody", "venue": "invented"},
    "task": "caption",
    "model": {"width": 512, "dropout": 0.3},
    "views": {"frames16": {"kind": "frames", "count": 16, "resize": [314, 314], "crop": 299}},
    "stages": {
        "first": STAGE,
        "second": deepcopy(STAGE) | {"data": [{"view": "frames16", "rows": "one_per_item"}]},
    },
    "variants": {
        "short": {"stages": ["first"]},
        "long": {"stages": ["first", "second"]},
        "wide": {"base": "long", "set": {"model": {"width": 1024}}},
        "both": {"fuse": {"short": 1.0, "long": 2.0}},
    },
    "protocols": {"beam5": {"beam": 5, "max_len": {"clips": 30, "default": 20}}},
    "tables": {
        "table_1": {
            "title": "Main",
            "headline": True,
            "rows": [
                {"variant": v, "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
                for v in ("short", "long")
            ],
        },
        "table_2": {
            "title": "Sweep",
            "seeds": [7],
            "rows": [
                {"variant": "wide", "dataset": "clips", "protocol": "beam5", "metrics": ["bleu4", "cider"]}
            ],
        },
    },
    "mini": {"model": {"width": 8}, "views": {"frames16": {"resize": [64, 64], "crop": None}}},
}
CONFIG = {"scale": "mini", "seeds": [1, 2], "run": [{"method": "pulse", "datasets": ["clips"]}]}


class Project:
    """The files of the invented project; `write` puts them down, `plan` reads them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.recipe, self.card, self.config, self.model = (
            deepcopy(RECIPE),
            deepcopy(CARD),
            deepcopy(CONFIG),
            MODEL,
        )

    def write(self) -> None:
        method, dataset = self.folder / "retake/methods/pulse", self.folder / "retake/data/datasets/clips"
        for folder in (method, dataset, self.folder / "scripts"):
            folder.mkdir(parents=True, exist_ok=True)
        (method / "recipe.yaml").write_text(yaml.safe_dump(self.recipe, sort_keys=False))
        (method / "model.py").write_text(self.model)
        (dataset / "card.yaml").write_text(yaml.safe_dump(self.card))
        (dataset / "mini.py").write_text("OPTIONS = {'captions_per_video': 8}\n")
        world = self.folder / "retake/miniworld/world.py"
        world.parent.mkdir(parents=True, exist_ok=True)
        world.write_text("class World:\n    seed: int = 1\n    held: set = field(init=False)\n")

    def plan(self):
        from retake.plan import Plan

        self.write()
        plan = Plan(self.config)
        plan.check_all()
        return plan


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
